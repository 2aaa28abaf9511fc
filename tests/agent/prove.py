"""Runs the agent in a real PowerShell on generated proxies and a toy world, and prints what holds. Usage: prove.py PWSH [recorded | 2016 | 2019 | 2022 | 2025] [culture]

Standard library only. tests/unit/test_lab_agent*.py hold the laboratory's interpreter of frames to the same statements."""
import base64, collections, gzip, hashlib, itertools, json, os, pathlib, random, shutil, socketserver, subprocess, sys, tempfile, threading, time, uuid
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "..")]
from ec2gw.lab.powershell import proxies
from ec2gw.winrm import agent as product

PWSH = sys.argv[1]
WHICH = sys.argv[2] if len(sys.argv) > 2 else "recorded"

def table(which):
    """-> cmdlets, enums of tests/data/agent/cmdlets.json: 'recorded' = the 2019 reflection, '2016' = the 2016 one, else the documentation of that Windows Server version"""
    with open(os.path.join(HERE, "..", "data", "agent", "cmdlets.json"), encoding="utf-8") as f: data = json.load(f)
    documented, enums = data["cmdlets"]["documented"], data["enums"]
    cim = [c for c in documented if c["module"] == "CimCmdlets"]
    if which == "recorded": return data["cmdlets"]["2019"] + cim, enums
    if which == "2016": return [dict(c, default_set="0") for c in data["cmdlets"]["2016"] if c["module"] == "Hyper-V"] + cim, {k.split(".")[-1]: v for k, v in enums.items()}
    return [c for c in documented if c["module"] == "Hyper-V" and which in c["versions"]] + cim, {}

class World:
    """Just enough Hyper-V to show objects, errors, warnings and slow calls."""
    def __init__(self): self.vms, self.calls, self.lock, self.heads = {}, [], threading.Lock(), []
    def view(self, v):
        return {"#ref": "vm:" + v["Id"], "#type": "Lab.VirtualMachine", **{k: v[k] for k in ("Id", "Name", "State", "Notes", "Path")}, "Uptime": {"TotalSeconds": v["up"]}, "Addresses": v["ip"], "Nothing": None}
    def call(self, name, set_, w):
        with self.lock: self.calls.append((name, set_, w))
        if name == "New-VM":
            v = dict(Id=str(uuid.uuid4()), Name=w["Name"], State="Off", Notes="", Path=w.get("Path", ""), up=0.5, ip=[])
            self.vms["vm:" + v["Id"]] = v; return [self.view(v)]
        if name == "Get-VM":
            if "Id" in w:
                hit = [v for v in self.vms.values() if v["Id"] == w["Id"]]
                if not hit: raise Err("InvalidParameter,Microsoft.HyperV.PowerShell.Commands.GetVM", "InvalidArgument", "Hyper-V konnte keinen virtuellen Computer finden: ü")
                return [self.view(hit[0])]
            return [self.view(v) for v in self.vms.values()]
        if name == "Set-VM":
            for r in w["VM"]: self.vms[r["#ref"]]["Notes"] = w.get("Notes", "")
            return []
        if name == "Start-VM":
            for r in w["VM"]:
                v = self.vms[r["#ref"]]
                if v["State"] == "Running": raise Warn("The virtual machine is already in the specified state.")
                v["State"], v["up"], v["ip"] = "Running", 12.25, ["10.0.0.7"]
            return []
        if name == "Checkpoint-VM": time.sleep(1.0); return []
        if name == "Get-CimInstance" and w.get("ClassName") == "Win32_OperatingSystem": return [{"#type": "Lab.CimInstance", "LastBootUpTime": "2026-11-01T08:30:15.25Z"}]
        if name == "Get-CimInstance" and w.get("ClassName") == "Msvm_VideoHead": return [{"#type": "Lab.CimInstance", "CurrentHorizontalResolution": x, "CurrentVerticalResolution": y} for x, y in self.heads]
        if name == "Get-CimInstance": return [{"#ref": "cim:1", "#type": "Lab.CimInstance", "Name": "vmms"}]
        if name == "Invoke-CimMethod" and w.get("MethodName") == "GetVirtualSystemThumbnailImage": return [{"#type": "Lab.Result", "ReturnValue": 0, "ImageData": [1, 2] * (w["Arguments"]["WidthPixels"] * w["Arguments"]["HeightPixels"])}]
        if name == "Invoke-CimMethod": return [{"#type": "Lab.Result", "ReturnValue": 0, "Kind": w["#kinds"].get("RequestedInformation"), "Flat": sum(isinstance(x, dict) for x in w["Arguments"]["SettingData"])}]
        return []
class Err(Exception): pass
class Warn(Exception): pass

class Door(socketserver.StreamRequestHandler):
    def handle(self):
        line = self.rfile.readline()
        if not line.endswith(b"\n"): return              # its agent was killed in the middle of it
        q = json.loads(line); a = {"objects": [], "warnings": []}
        try: a["objects"] = self.server.world.call(q["name"], q["set"], q["with"])
        except Warn as e: a["warnings"] = [e.args[0]]
        except Err as e: a["error"] = dict(id=e.args[0], category=e.args[1], text=e.args[2], target="t", activity=q["name"], codes=[-2147024809, -2146233079])
        try: self.wfile.write(json.dumps(a).encode())
        except OSError: pass

LOADER = "$env:PSModulePath=$env:PROXIES;%s\n" + product.loader() + " -Silence %d\n"

def frame(o): return packed(json.dumps(o).encode())
def packed(text):
    body = base64.b64encode(gzip.compress(text))
    return b"\x1e%d %s %s\n" % (len(body), hashlib.sha256(body).hexdigest()[:8].upper().encode(), body)

class Agent:
    def __init__(self, world_port, folder, setup, culture="", silence=120):
        env = dict(os.environ, LAB_PORT=str(world_port), PROXIES=folder, POWERSHELL_TELEMETRY_OPTOUT="1", DOTNET_SYSTEM_GLOBALIZATION_INVARIANT="0" if culture else "1")
        if culture: env["LC_ALL"] = culture.replace("-", "_") + ".UTF-8"                          # for the lanes, whose threads are not ours
        script = os.path.join(folder, "loader.ps1"); open(script, "w").write(LOADER % ("[Threading.Thread]::CurrentThread.CurrentCulture='%s';" % culture if culture else "", silence))
        t = time.time()
        self.p = subprocess.Popen([PWSH, "-NoLogo", "-NoProfile", "-NonInteractive", "-File", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)
        self.err = []; threading.Thread(target=lambda: self.err.extend(self.p.stderr), daemon=True).start()
        self.ids = itertools.count(1); self.noise = []; self.late = {}
        self.put(product.first_line() + frame(setup))
        self.hello = self.read(); self.start_ms = (time.time() - t) * 1e3
    def put(self, data): self.p.stdin.write(data); self.p.stdin.flush()
    def read(self):
        while True:
            line = self.p.stdout.readline()
            if not line: raise EOFError(b"".join(self.err).decode()[-3000:])
            if b"\x1e" not in line: self.noise.append(line); continue
            length, digest, body = line[line.rindex(b"\x1e") + 1:].split()
            assert len(body) == int(length) and hashlib.sha256(body).hexdigest()[:8].upper().encode() == digest
            return json.loads(gzip.decompress(base64.b64decode(body)))
    def send(self, calls, epoch=1, **kw):
        i = next(self.ids); self.put(frame(dict(id=i, epoch=epoch, calls=calls, **kw))); return i
    def wait(self, i):
        while i not in self.late:
            a = self.read(); self.late[a.get("id")] = a
        return self.late.pop(i)
    def ask(self, calls, **kw): return self.wait(self.send(calls, **kw))

OWN = {"Write-FileChunk": ["Path", "Offset", "Base64"], "Complete-File": ["Path", "Sha256", "Length"], "Get-FileState": ["Path", "Hash"], "Move-File": ["Path", "Destination", "ReadOnly"], "Remove-Tree": ["Path"], "New-Folder": ["Path"], "Test-Root": [], "Compress-Journal": ["Tokens", "Damaged"], "Start-DiskCopy": ["Source", "Destination"], "Set-VMIdentity": ["Id", "AssetTag", "BiosGuid", "SerialNumber"],
       "Start-Transfer": ["Name", "Generation", "Direction", "Path", "Url", "Certificate", "Token", "Length", "Sha256"], "Get-Transfer": ["Name"], "Remove-Transfer": ["Name"],
       "Get-Thumbnail": ["Id", "Width", "Height"], "Watch-Console": ["Names", "Others"], "Get-Console": ["Name"], "Start-ConsoleReader": ["Version"], "Get-ConsoleReader": [], "Stop-ConsoleReader": []}
PATHS = {"Hyper-V\\New-VHD": ["Path", "ParentPath"], "Hyper-V\\New-VM": ["Path"], "Hyper-V\\Add-VMHardDiskDrive": ["Path"], "Hyper-V\\Set-VMDvdDrive": ["Path"], **{"Agent\\" + n: [p for p in ps if p in ("Path", "Source", "Destination")] for n, ps in OWN.items() if {"Path", "Source"} & set(ps)}}
P = lambda text: {"$path": text}
def line(text): return text.encode() + b" " + hashlib.sha256(text.encode()).hexdigest()[:8].upper().encode() + b"\n"
def c(do, with_=None, as_=None, take=None):
    d = {"do": do if "\\" in do else ("Agent\\" if do in OWN else "Hyper-V\\") + do, "with": with_ or {}}
    if as_: d["as"] = as_
    if take: d["take"] = take
    return d
SEEN = {"id": "Id:text", "name": "Name:text", "state": "State:text", "notes": "Notes:text", "up": "Uptime.TotalSeconds:int", "ip": "Addresses:texts", "none": "Nothing:text", "nones": "Nothing:texts"}
held = failed = 0
def hold(what, cond, detail=""):
    global held, failed
    held += bool(cond); failed += not cond
    print(("  holds  " if cond else "  FAILS  ") + what + ("" if cond else "   " + str(detail)[:1500]), flush=True)

def files(a, root, world):
    """What no cmdlet offers."""
    STATE = {"name": "Name:text", "length": "Length:int", "folder": "IsDirectory:bool"}
    ask = lambda *calls: a.ask(list(calls)); look = lambda text: ask(c("Get-FileState", {"Path": P(text)}, "s", STATE))["results"]["s"]; inside = lambda *parts: os.path.join(root, *parts)
    r = ask(c("Test-Root", {}, "r", {"root": "Root:text", "exists": "Exists:bool", "free": "FreeBytes:int", "owner": "Owner:text", "kind": "FileSystem:text"})); one = r["results"]["r"][0] if r["ok"] else {}
    hold("the root is told", one.get("root") == root and one["exists"] is True and one["free"] > 0 and one["kind"], r)
    r = ask(c("New-Folder", {"Path": P("tmp/a/b")}), c("New-Folder", {"Path": P("tmp/a/b")})); hold("folders are made, and made again", r["ok"] and os.path.isdir(inside("tmp", "a", "b")), r)
    hold("a missing file is no object, a folder is one", look("tmp/none") == [] and look("tmp/a") == [{"name": "a", "length": 0, "folder": True}], look("tmp/a"))
    data = os.urandom(150_000); pieces = [(at, data[at:at + 65536]) for at in range(0, len(data), 65536)]; sum_ = hashlib.sha256(data).hexdigest()
    piece = lambda at, d, to="tmp/a/f.iso": c("Write-FileChunk", {"Path": P(to), "Offset": at, "Base64": base64.b64encode(d).decode()}, "w%d" % at, {"length": "Length:int"})
    done = lambda to="tmp/a/f.iso", s=sum_, n=len(data): c("Complete-File", {"Path": P(to), "Sha256": s, "Length": n}, "done", {"length": "Length:int"})
    r = ask(piece(0, b"x" * 65537)); hold("a piece too large is refused", not r["ok"] and r["error"]["id"].startswith("BadChunk"), r)
    r = ask(done()); hold("a file of which nothing came is not complete", not r["ok"] and r["error"]["id"].startswith("FileNotFound") and r["error"]["category"] == "ObjectNotFound", r)
    for at, d in pieces[1:] + pieces[:1] + pieces[1:]: r = ask(piece(at, d))
    r2 = ask(done(s="0" * 64)); hold("pieces come in any order and again; another digest is refused", r["ok"] and not r2["ok"] and r2["error"]["id"].startswith("BadDigest") and look("tmp/a/f.iso") == [], (r, r2))
    r = ask(done()); same = os.path.exists(inside("tmp", "a", "f.iso")) and open(inside("tmp", "a", "f.iso"), "rb").read() == data; hold("the whole file takes its name", r["ok"] and same and not os.path.exists(inside("tmp", "a", "f.iso.part")), r)
    ask(piece(*pieces[0])); r = ask(done()); hold("complete already: success, and what came late is gone", r["ok"] and not os.path.exists(inside("tmp", "a", "f.iso.part")), r)
    r = ask(c("Get-FileState", {"Path": P("tmp/a/f.iso"), "Hash": True}, "s", {"sum": "Sha256:text", "length": "Length:int"})); hold("a file's digest is told when asked for", r["ok"] and r["results"]["s"] == [{"sum": sum_, "length": len(data)}], r)
    short = b"short"; r = ask(*(piece(at, d) for at, d in pieces)); r2 = ask(piece(0, short), done(s=hashlib.sha256(short).hexdigest(), n=5)); hold("a shorter file replaces a longer one, whatever an earlier attempt left", r["ok"] and r2["ok"] and open(inside("tmp", "a", "f.iso"), "rb").read() == short, (r, r2))
    move = lambda a, b, **more: c("Move-File", {"Path": P(a), "Destination": P(b), **more}); free = lambda *names: [look("tmp/a/" + one) for one in names]
    r = ask(piece(0, b"moved", "tmp/a/m"), done("tmp/a/m", hashlib.sha256(b"moved").hexdigest(), 5), move("tmp/a/m", "tmp/a/n", ReadOnly=True)); state = free("m", "n"); hold("a file moves, and is read-only under its new name", r["ok"] and state[0] == [] and state[1][0]["length"] == 5 and not os.stat(inside("tmp", "a", "n")).st_mode & 0o222, (r, state))
    r = ask(move("tmp/a/f.iso", "tmp/a/n")); r2 = ask(move("tmp/a/none", "tmp/a/o")); hold("nothing moves over a file, and nothing from where none is", not r["ok"] and not r2["ok"] and r2["error"]["id"].startswith("FileNotFound") and free("f.iso", "n") == [look("tmp/a/f.iso"), [{"name": "n", "length": 5, "folder": False}]] and look("tmp/a/f.iso")[0]["length"] == 5, (r, r2))
    order = {"Name": "t-1", "Generation": 1, "Direction": "Send", "Path": P("tmp/a/f.iso"), "Url": "http://10.0.0.1/files/1", "Certificate": "0" * 64, "Token": "1" * 64}; r = ask(c("Start-Transfer", order)); r2 = ask(c("Get-Transfer", {"Name": "t-1"}, "t", {"state": "State:text"})); r3 = ask(c("Get-Transfer", {"Name": "../t"}))
    hold("an odd order of a transfer is refused, and of one that is not there nothing is told", r["error"]["id"].startswith("BadTransfer") and "Url" in r["error"]["text"] and r2["ok"] and r2["results"]["t"] == [] and r3["error"]["id"].startswith("BadTransfer") and not os.path.exists(inside("tasks")), (r, r2, r3))
    def through(path):
        key = str(uuid.uuid4()); world.vms["vm:" + key] = dict(Id=key, Name="p", State="Off", Notes="", Path=path, up=0, ip=[])
        r = ask(c("Get-VM", {"Id": key}, "v"), c("Get-FileState", {"Path": {"$ref": "v", "at": 0, "property": "Path"}}, "s", STATE)); del world.vms["vm:" + key]; return r
    r = through(inside("tmp", "a")); hold("a path from an earlier result is taken below the root", r["ok"] and r["results"]["s"][0]["name"] == "a", r)
    for path in (root, root + "/", root + "x", inside("..", "x"), inside("tmp", ".", "a"), "/etc/passwd", ""):
        r = through(path)
        if r["ok"] or r["done"] != 1: hold("a path from an earlier result elsewhere is refused: %r" % path, False, r)
    hold("seven paths from an earlier result lie elsewhere and are refused", not r["ok"])
    outside = os.path.join(os.path.dirname(root), "outside"); os.makedirs(outside, exist_ok=True); open(os.path.join(outside, "keep"), "w").close(); os.symlink(outside, inside("tmp", "link")); os.symlink(outside, inside("tmp", "a", "link"))
    for call in (c("Get-FileState", {"Path": P("tmp/link/keep")}), c("Get-FileState", {"Path": P("tmp/link")}), c("Remove-Tree", {"Path": P("tmp/link")}), c("New-VHD", {"Path": P("tmp/link/x.vhdx")})):
        r = ask(call)
        if r["ok"] or "link" not in r["error"]["text"]: hold("a link on the way is refused: %r" % (call,), False, r)
    hold("four paths over a link are refused", not r["ok"] and os.path.exists(os.path.join(outside, "keep")))
    os.chmod(inside("tmp", "a", "f.iso"), 0o444); r = ask(c("Remove-Tree", {"Path": P("tmp/a")}), c("Remove-Tree", {"Path": P("tmp/a")})); hold("a tree goes with its read-only files and its links, not with what they point to; a missing one is success", r["ok"] and not os.path.exists(inside("tmp", "a")) and os.path.exists(os.path.join(outside, "keep")), r)
    os.remove(inside("tmp", "link"))

def consoles(a, root, world):
    """What a VM shows and says. A named pipe is a socket on Unix: .NET looks for it where ours listen."""
    ask = lambda *calls: a.ask(list(calls)); screen = lambda w, h: ask(c("Get-Thumbnail", {"Id": "0" * 8 + "-0000" * 3 + "-" + "0" * 12, "Width": w, "Height": h}, "p", {"w": "Width:int", "h": "Height:int", "data": "Base64:text"}))
    r = screen(1024, 768); world.heads = [(0, 0), (64, 32)]; r2, r3 = screen(1024, 768), screen(33, 768); r4 = ask(c("Get-Thumbnail", {"Id": "' OR '1' = '1", "Width": 64, "Height": 64}))
    hold("a picture has the size that it says; without a screen there is none", r["results"]["p"] == [{"w": 0, "h": 0, "data": ""}] and [(x["results"]["p"][0]["w"], x["results"]["p"][0]["h"], len(base64.b64decode(x["results"]["p"][0]["data"]))) for x in (r2, r3)] == [(64, 32, 4096), (32, 16, 1024)] and r4["error"]["id"].startswith("BadThumbnail"), (r, str(r2)[:300], str(r3)[:300], r4))
    name = "i-%x" % int.from_bytes(os.urandom(4), "big"); place = os.path.join(os.environ.get("TMPDIR", "/tmp"), "CoreFxPipe_" + name); told = lambda: [base64.b64decode(x["data"]) for x in ask(c("Get-Console", {"Name": name}, "o", {"data": "Base64:text", "age": "AgeSeconds:int"}))["results"]["o"]]
    def serve(data, want):
        with socketserver.socket.socket(socketserver.socket.AF_UNIX) as door:
            door.bind(place); door.listen(1); door.settimeout(15)
            with door.accept()[0] as pipe:
                pipe.sendall(data); t = time.time()
                while told() != want and time.time() - t < 15: time.sleep(0.05)
        os.remove(place); return told()
    r = ask(c("Watch-Console", {"Names": ["../x"], "Others": []})); r2 = told(); r3 = ask(c("Watch-Console", {"Names": [name], "Others": []}), c("Watch-Console", {"Names": [name], "Others": ["i-0"]}))
    hold("whose consoles are read is told by names, twice without harm; nothing was read yet", r["error"]["id"].startswith("BadConsole") and r2 == [] and r3["ok"], (r, r2, r3))
    boot = b"Linux \xff\x00\r\n"; r = serve(boot, [boot]); hold("what a guest writes is there as it came", r == [boot], r)
    more = os.urandom(70000); r = serve(more, [(boot + more)[-65536:]]); hold("after a restart the pipe is found again, and the last 64 KiB are kept", r == [(boot + more)[-65536:]], (len(r), r and len(r[0])))
    r = ask(c("Watch-Console", {"Names": [], "Others": [name]})); r2 = told(); r3 = ask(c("Watch-Console", {"Names": [], "Others": []})); hold("a log stays while its VM does, and goes with it", r["ok"] and r2 != [] and r3["ok"] and told() == [], (r, r3))

def journals(start, e, world, root, T, now):
    """Damage, compaction and ends that could not be written."""
    import fcntl                                            # what holds the lock below is a POSIX lock: .NET's own on Linux
    path = os.path.join(root, "journal"); look = c("Get-VM", {"Id": now.get("id")}); press = lambda tokens, damaged=0: c("Compress-Journal", {"Tokens": tokens, "Damaged": damaged}, "k", {"kept": "Kept:int"})
    new = lambda name: c("New-VM", {"Name": name, "NoVHD": True})
    e.ask([look], epoch=10, token=T(40), subject="i-9", generation=3); e.ask([look], epoch=10, token=T(41))
    text = open(path, "rb").read(); open(path, "wb").write(text.replace(b"\nB " + T(41).encode(), b"\nB " + T(43).encode()) + b"junk\n")
    f = start(); hold("damaged lines are counted in the hello", f.hello["damaged"] == 2 and f.hello["journal"], f.hello)
    n0 = len(world.calls); r = f.ask([new("d")], epoch=10, token=T(42)); hold("after damage no new token runs", r.get("refused") == "damaged" and r["seen"] == 2 and len(world.calls) == n0, r)
    r = f.ask([new("d")], epoch=10, token=T(40)); r2 = f.ask([look], epoch=10); hold("a known token is still known, and looking is free", r.get("refused") == "done" and r2["ok"], (r, r2))
    r = f.ask([press([], 1)], epoch=10); r2 = f.ask([new("d")], epoch=10, token=T(42)); hold("another count of damaged lines changes nothing", not r["ok"] and r["error"]["id"].startswith("DamagedJournal") and r2.get("refused") == "damaged", (r, r2))
    r = f.ask([press([], 2)], epoch=10); r2 = f.ask([new("d")], epoch=10, token=T(42)); hold("looked at, they are gone and tokens run again", r["ok"] and r2["ok"], (r, r2))
    r = e.ask([new("d")], epoch=10, token=T(42)); hold("the other agent sees the new file", r.get("refused") == "done", r)
    g = start(); r = g.ask([new("d")], epoch=10, token=T(41)); r2 = g.ask([look], epoch=10, subject="i-9", generation=2); r3 = g.ask([look], epoch=9); hold("floors, epoch, ends and the file's name outlive it", g.hello["damaged"] == 0 and g.hello["journal"] == f.hello["journal"] and (r.get("refused"), r2.get("refused"), r3.get("refused")) == ("done", "generation", "epoch"), (g.hello, r, r2, r3))
    for k in range(60): e.ask([look], epoch=10, token=T(2000 + k))
    size = os.path.getsize(path); slow = f.send([c("Checkpoint-VM", {"Name": "x"})], epoch=10, token=T(50)); time.sleep(0.3)
    r = e.ask([press([T(2000 + k) for k in range(60)] + [T(50), T(77)])], epoch=10); r2 = g.ask([new("d")], epoch=10, token=T(50)); hold("compacted: what was acknowledged goes, what runs stays", r["ok"] and os.path.getsize(path) < size - 5000 and r2.get("refused") == "running", (r, r2, size)); f.wait(slow)
    r = g.ask([new("d")], epoch=10, token=T(50)); i = start(); r2 = i.ask([look], epoch=10, token=T(2000)); hold("what ran is done; what was dropped is unknown to a new agent", r.get("refused") == "done" and r2["ok"], (r, r2)); i.p.stdin.close(); i.p.wait(15)
    open(path, "ab").write(b"E 00"); r = g.ask([press([])], epoch=10); r2 = g.ask([look], epoch=10, token=T(51)); hold("a torn tail is no damage to a compaction either", r["ok"] and r2["ok"], (r, r2))
    slow = f.send([c("Checkpoint-VM", {"Name": "x"})], epoch=10, token=T(52)); time.sleep(0.4)
    with open(path + ".lock", "rb+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX); r = f.wait(slow)
    t = time.time(); r2 = {}
    while time.time() - t < 20 and r2.get("refused") != "done": r2 = g.ask([new("d")], epoch=10, token=T(52)); time.sleep(0.2)
    hold("an end that could not be written is kept and written later", r["ok"] and r2.get("refused") == "done", (r, r2))
    for one in (f, g): one.p.stdin.close(); one.p.wait(15)
    return e

def storm(start, world, root, T, seconds=20):
    """Three agents are given the same tokens at once, killed again and again, and leave torn tails."""
    import fcntl
    path = os.path.join(root, "journal"); until = time.time() + seconds; agents = [start() for _ in range(3)]; sent = [0] * 3; starts = [3]; chance = random.Random(7)
    def drive(k):
        mine = random.Random(k)
        while time.time() < until:
            t = mine.randrange(2000)
            try: agents[k].ask([c("New-VM", {"Name": "storm-%d" % t, "NoVHD": True})], epoch=10, token=T(100000 + t)); sent[k] += 1
            except (EOFError, OSError, ValueError, AssertionError): agents[k] = start(); starts[0] += 1
    threads = [threading.Thread(target=drive, args=(k,), daemon=True) for k in range(3)]
    for one in threads: one.start()
    while time.time() < until - 2:
        time.sleep(1.5); agents[chance.randrange(3)].p.kill()
        with open(path + ".lock", "rb+") as lock: fcntl.flock(lock, fcntl.LOCK_EX); open(path, "ab").write(b"B 00")
    for one in threads: one.join(60)
    ran = collections.Counter(w["Name"] for name, _set, w in list(world.calls) if name == "New-VM" and str(w["Name"]).startswith("storm-"))
    hold("a storm of three agents that are killed and leave torn tails: no token runs twice", ran and max(ran.values()) == 1 and sum(sent) > 50, (sent, starts, ran.most_common(3)))
    last = start(); words = {last.ask([c("New-VM", {"Name": name, "NoVHD": True})], epoch=10, token=T(100000 + int(name[6:]))).get("refused") for name in ran}
    hold("what ran in it is known to a new agent", words <= {"done", "begun"} and last.hello["damaged"] == 0, (words, last.hello))
    print("  %d requests, %d tokens, %d starts" % (sum(sent), len(ran), starts[0]))
    for one in (*agents, last): one.p.stdin.close(); one.p.wait(15)

def main():
    folder = tempfile.mkdtemp(); root = os.path.join(folder, "root")
    cmdlets, enums = table(WHICH); n = proxies.write(cmdlets, pathlib.Path(folder), enums)
    names = {c_["name"]: c_ for c_ in cmdlets}
    allowed = {"%s\\%s" % (names[x]["module"], x): [p for p in names[x]["parameters"] if p not in ("WhatIf",)] for x in "Get-VM New-VM Set-VM Start-VM Set-VMProcessor Set-VMFirmware Checkpoint-VM Add-VMHardDiskDrive Set-VMDvdDrive New-VHD Set-VMNetworkAdapter Get-CimInstance Invoke-CimMethod".split()}
    allowed.update({"Microsoft.PowerShell.Utility\\" + k: v for k, v in {"Write-Host": ["Object"], "Get-Date": ["Year", "Month", "Day", "Hour", "Minute", "Second", "Millisecond"], "New-TimeSpan": ["Minutes", "Seconds"], "New-Guid": []}.items()}); allowed["Hyper-V\\Get-NoSuchThing"] = ["Name"]
    for name, ps in OWN.items(): allowed["Agent\\" + name] = ps
    setup = dict(root=root, modules=["Hyper-V", "CimCmdlets"], allowed=allowed, paths=PATHS)
    world = World(); door = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Door); door.daemon_threads = True; door.world = world
    threading.Thread(target=door.serve_forever, daemon=True).start(); port = door.server_address[1]
    start = lambda **more: Agent(port, folder, setup, sys.argv[3] if len(sys.argv) > 3 else "", **more)
    T = lambda k: "%032x" % k
    a = start()
    print(WHICH, n, "proxies; hello", a.hello, "start %.0f ms" % a.start_ms)
    h = a.hello
    hold("the hello tells host, boot time, modules, limits, the text's hash, the journal's name", h.get("host") and h["boot"] == "2026-11-01T08:30:15.2500000Z" and set(h["modules"]) == {"Hyper-V", "CimCmdlets"} and h["agent"] == product.digest() and h["damaged"] == 0 and len(h["journal"]) == 32 and h["limits"] == {"line": 1 << 20, "text": 8 << 20, "lanes": 2, "silence": 120}, h)
    hold("the hello tells what of the allow list is missing, and nothing else", h["missing"] == ["Hyper-V\\Get-NoSuchThing"], h["missing"])
    nasty = "a'b\"c`$(Get-Date);${env:X}\n\t\u00fc\u4e16 {0} %PATH% ; rm -rf <>&\u2028"
    own = {"Notes": nasty, "StaticMemory": True}
    if "AutomaticCheckpointsEnabled" in names["Set-VM"]["parameters"] and WHICH != "2016": own["AutomaticCheckpointsEnabled"] = False
    t = time.time()
    r = a.ask([c("New-VHD", {"Path": P("instances/i-1/root.vhdx"), "ParentPath": P("images/1.vhdx"), "Differencing": True, "SizeBytes": 1 << 54}),
               c("New-VM", {"Name": nasty, "Generation": 2, "MemoryStartupBytes": 4294967296, "NoVHD": True, "Path": P("instances")}, "vm", SEEN),
               c("Set-VMProcessor", {"VM": {"$ref": "vm"}, "Count": 2, "ExposeVirtualizationExtensions": False}),
               c("Set-VMFirmware", {"VM": {"$ref": "vm"}, "EnableSecureBoot": "On", "SecureBootTemplate": "MicrosoftUEFICertificateAuthority"}),
               c("Add-VMHardDiskDrive", {"VM": {"$ref": "vm"}, "ControllerType": "SCSI", "Path": P("instances/i-1/root.vhdx")}),
               c("Set-VM", {"VM": {"$ref": "vm"}, **own}),
               c("Start-VM", {"VM": {"$ref": "vm"}}),
               c("Get-VM", {"Id": {"$ref": "vm", "at": 0, "property": "Id"}}, "now", SEEN)], token=T(1), subject="i-1", generation=5)
    print("  launch of 8 calls: %.0f ms on the host" % r.get("ms", -1), "%.0f ms in all" % ((time.time() - t) * 1e3))
    hold("a launch of eight calls runs, results by reference", r["ok"] and r["done"] == 8, r)
    now = (r["results"].get("now") or [{}])[0]
    hold("text reaches the cmdlet verbatim and comes back so", now.get("name") == nasty and now.get("notes") == nasty, now)
    hold("flat values: whole seconds, list of one, null, empty list", (now.get("up"), now.get("ip"), now.get("none"), now.get("nones")) == (12, ["10.0.0.7"], None, []), now)
    by = {n: (s, w) for n, s, w in world.calls}
    hold("the bound sets hold what was passed", WHICH == "2016" or (by["Set-VMFirmware"][0], by["Get-VM"][0]) == ("VMObject", "Id"), {k: v[0] for k, v in by.items()})
    hold("numbers past 2^53 stay exact; 4 GiB is a long", by["New-VHD"][1]["SizeBytes"] == 1 << 54 and by["New-VM"][1]["MemoryStartupBytes"] == 4294967296, by["New-VHD"])
    disk = by["New-VHD"][1]["Path"]; hold("a place below the root is joined to it", (disk if isinstance(disk, str) else disk[0]) == os.path.join(root, "instances", "i-1", "root.vhdx") and by["New-VM"][1]["Path"] == os.path.join(root, "instances"), by["New-VHD"])
    hold("switches and Booleans stay what they are", by["New-VM"][1]["NoVHD"] is True and by["Set-VMProcessor"][1]["ExposeVirtualizationExtensions"] is False)
    r = a.ask([c("CimCmdlets\\Get-CimInstance", {"Namespace": "root/virtualization/v2", "ClassName": "Msvm_VirtualSystemManagementService"}, "svc", {"n": "Name:text"}),
               c("CimCmdlets\\Invoke-CimMethod", {"InputObject": {"$ref": "svc", "at": 0}, "MethodName": "GetSummaryInformation", "Arguments": {"RequestedInformation": {"$cim": "uint32[]", "value": [0, 1, 100]}, "SettingData": [{"$ref": "svc"}]}}, "out", {"rv": "ReturnValue:int", "kind": "Kind:text", "flat": "Flat:int"})])
    hold("a WMI method gets numbers of the asked width and live objects in a flat list", r["ok"] and r["results"]["out"] == [{"rv": 0, "kind": "System.UInt32[]", "flat": 1}], r)
    r = a.ask([c("CimCmdlets\\Get-CimInstance", {"Namespace": "n", "ClassName": "C"}, "svc"), c("CimCmdlets\\Invoke-CimMethod", {"InputObject": {"$ref": "svc", "at": 0}, "MethodName": "M", "Arguments": {"SettingData": [None, "a", [], [None]], "RequestedInformation": {"$cim": "uint32[]", "value": []}, "Nothing": None}}, "out", {"kind": "Kind:text"})]); sent = world.calls[-1][2]["Arguments"]
    hold("nulls, empty lists and lists of one arrive as they are, also within lists", r["ok"] and sent == {"SettingData": [None, "a", [], [None]], "RequestedInformation": [], "Nothing": None} and r["results"]["out"] == [{"kind": "System.UInt32[]"}], (r, sent))
    for odd in ({"$cim": "boolean", "value": "false"}, {"$cim": "uint32"}, {"$cim": "uint8", "value": 1.5}, {"$cim": "uint8", "value": 300}, {"$cim": "uint8", "value": [1, 2]}, {"$cim": "string", "value": {"$ref": "svc"}}, {"$ref": "svc", "at": -1}, {"$ref": "svc", "at": 1}, {"$ref": "svc", "proprety": "Name"}):
        r = a.ask([c("CimCmdlets\\Get-CimInstance", {"Namespace": "n", "ClassName": "C"}, "svc"), c("CimCmdlets\\Invoke-CimMethod", {"InputObject": {"$ref": "svc", "at": 0}, "MethodName": "M", "Arguments": {"x": odd}})])
        if r["ok"] or r["done"] != 1: hold("an odd value is refused: %r" % (odd,), False, r)
    hold("nine odd values and references are refused, none is guessed", not r["ok"])
    r = a.ask([c("Start-VM", {"VM": {"$ref": "nope"}})]); hold("a reference to nothing is an error of that call", not r["ok"] and r["done"] == 0 and "nope" in r["error"]["text"], r)
    r = a.ask([c("Get-VM", {"Id": now.get("id")}, "v", SEEN), c("Start-VM", {"VM": {"$ref": "v"}})]); hold("a warning is success and is told", r["ok"] and len(r["warnings"]) == 1, r)
    r = a.ask([c("Get-VM", {"Id": str(uuid.uuid4())}, "v", SEEN)]); hold("an error keeps its id, category, activity, codes from the outermost in, and its text in any language", r["error"]["activity"] == "Get-VM" and r["error"]["hresult"][:2] == ["0x80131509", "0x80070057"] and r["error"]["id"].startswith("InvalidParameter,Microsoft.HyperV") and r["error"]["category"] == "InvalidArgument" and r["error"]["text"].endswith("\u00fc"), r)
    n0 = len(world.calls)
    r = a.ask([c("New-VM", {"Name": "p", "NoVHD": True}, "x", {"a": "NoSuchProperty:text"})]); hold("a property that is not there: the call counts as done, the stage is projection", not r["ok"] and r["done"] == 1 and r["stage"] == "projection" and len(world.calls) == n0 + 1, r)
    n0 = len(world.calls)
    for what, call in (("wrong type", c("New-VM", {"Name": "x", "MemoryStartupBytes": "many", "NoVHD": True})), ("value outside the set", c("Set-VMFirmware", {"VMName": "x", "EnableSecureBoot": "Maybe"})), ("two sets at once", c("New-VM", {"Name": "x", "NoVHD": True, "VHDPath": "y"})),
                       ("object of another kind", c("Set-VM", {"VM": "i-am-text", "Notes": "n"})), ("missing parameter", c("Set-VM", {"Notes": "n"}))):
        r = a.ask([call]); hold("does not bind: %s (here %s)" % (what, r.get("error", {}).get("id")), not r["ok"] and r["stage"] == "call" and r["done"] == 0 and len(world.calls) == n0, r)
    for what, call in (("a cmdlet off the list", c("Hyper-V\\Remove-VM", {"Name": "x"})), ("text that is no cmdlet", c("Get-VM; Get-Date", {})), ("an unknown parameter", c("Get-VM", {"Zzz": 1})), ("an abbreviated parameter", c("Set-VMProcessor", {"VMName": "x", "Cou": 2})),
                       ("a common parameter", c("Get-VM", {"OutVariable": "live"})), ("another case", c("hyper-v\\get-vm", {})), ("arguments by position", {"do": "Hyper-V\\Get-VM", "with": ["x"]}), ("an unknown key", {"do": "Hyper-V\\Get-VM", "with": {}, "script": "1"}), ("a result taken without a name", {"do": "Hyper-V\\Get-VM", "with": {}, "take": {"a": "Id:text"}}), ("an unknown cast", c("Get-VM", {}, "x", {"a": "Id:code"})),
                       ("a path as text", c("New-VHD", {"Path": os.path.join(root, "x.vhdx")})), ("a path where none goes", c("Get-VM", {"Name": P("images")})), ("a path deep where none goes", c("Set-VM", {"VM": {"x": [P("images")]}})), ("a path with a companion", c("New-VHD", {"Path": {"$path": "x", "at": 0}})), ("all of a result as a path", c("New-VHD", {"Path": {"$ref": "first"}})), ("no path", c("New-VHD", {"Path": []})), ("null as a path", c("New-VHD", {"Path": None})),
                       ("the journal as a path", c("New-VHD", {"Path": P("journal")})), ("the lock as a path", c("New-VHD", {"Path": P("Journal.lock")})), *(("%r as a path" % odd, c("New-VHD", {"Path": P(odd)})) for odd in ("", ".", "..", "../x", "a/../b", "a//b", "/a", "a/", "a\\b", "C:/x", "a.", "a ", "a:b", "-a", ".a", "a" * 101, "nul", "COM1.vhdx", "a/LPT9/b", "\u00e4", "a\n", 5, None))):
        r = a.ask([c("New-VM", {"Name": "first", "NoVHD": True}), call]); hold("refused before anything runs: %s" % what, not r["ok"] and r["stage"] == "check" and r["done"] == 0 and len(world.calls) == n0 and "UnauthorizedAccess" in r["error"]["kind"], r)
    r = a.ask([c("Set-VMDvdDrive", {"VMName": "x", "Path": None})]); hold("no path at all ejects a disc: null goes through there", r["ok"] and world.calls[-1][0] == "Set-VMDvdDrive" and not world.calls[-1][2].get("Path"), r)
    r = a.ask([c("Get-NoSuchThing", {"Name": "x"})]); hold("a cmdlet that the host lacks is an error of its call", not r["ok"] and r["stage"] == "call" and "CommandNotFound" in r["error"]["id"], r)
    files(a, root, world)
    consoles(a, root, world)
    u = "Microsoft.PowerShell.Utility\\"; r = a.ask([c(u + "Get-Date", dict(Year=2026, Month=11, Day=1, Hour=8, Minute=30, Second=15, Millisecond=250), "d", {"day": "DayOfWeek:text", "year": "Year:int", "utc": ":time", "text": ":text"}), c(u + "New-TimeSpan", {"Minutes": 1, "Seconds": 30}, "t", {"whole": "TotalSeconds:int", "hours": "TotalHours:text", "text": ":text"}), c(u + "New-Guid", {}, "g", {"text": "Guid:text", "texts": ":texts"})])
    utc = time.strftime("%Y-%m-%dT%H:%M:%S.2500000Z", time.gmtime(time.mktime((2026, 11, 1, 8, 30, 15, 0, 0, -1)))); g = (r.get("results", {}).get("g") or [{"text": "", "texts": []}])[0]
    hold("real .NET values in any culture: an enumeration by name, UTC, a decimal point, no thousands", r["ok"] and r["results"]["d"] == [{"day": "Sunday", "year": 2026, "utc": utc, "text": "11/01/2026 08:30:15"}] and r["results"]["t"] == [{"whole": 90, "hours": "0.025", "text": "00:01:30"}] and str(uuid.UUID(g["text"])) == g["text"] and g["texts"] == [g["text"]], r)
    r = a.ask([c("Microsoft.PowerShell.Utility\\Write-Host", {"Object": "noise \x1e on the console"}), c("Get-VM", {"Id": now.get("id")}, "all", {"id": "Id:text"})]); hold("chatter of a cmdlet does not reach the frames; one object is a list of one", r["ok"] and len(r["results"]["all"]) == 1 and not a.noise, r)
    n0 = len(world.calls)
    for o in ({}, 5, "x", [], None, {"id": 1}, {"id": 1, "epoch": "x", "calls": []}, {"id": 1, "epoch": 1, "calls": {}}, {"id": 1, "epoch": 1, "calls": [], "token": "a b"}, {"id": 1, "epoch": 1, "calls": [], "token": "%032x\nP - 99999999" % 7}, {"id": 1, "epoch": 1, "calls": [], "subject": "i-1 2", "generation": 1}, {"id": 1, "epoch": 1, "calls": [], "subject": "i-1", "generation": "9 9"},
              {"id": 1, "epoch": 1, "calls": [], "tokn": T(3)}, {"id": 1, "epoch": 1, "calls": [], "subject": "i-1"}, {"id": 1, "epoch": "9", "calls": []}, {"id": 1, "epoch": 1, "calls": [], "token": T(3) + "\n"}):
        a.put(frame(o)); r = a.read()
        if r.get("bad") != "request": hold("an odd request is told: %r" % (o,), False, r)
    hold("sixteen odd requests are told, none runs or kills", a.ask([c("Get-VM", {"Id": now.get("id")})])["ok"] and len(world.calls) == n0 + 1)
    whole = frame(dict(id=9, epoch=1, calls=[c("New-VM", {"Name": "never", "NoVHD": True})])); n0 = len(world.calls); bomb = base64.b64encode(gzip.compress(b" " * 50_000_000))
    cuts = (b"half a fra\n", b"\x1eAAAA\n", whole[:40] + b"\n", whole[:-30] + whole[-10:], whole.replace(b"A", b"B", 1), b"x" * 1_200_000 + b"\n", b"\x1e%d %s %s\n" % (len(bomb), hashlib.sha256(bomb).hexdigest()[:8].upper().encode(), bomb))
    for cut in cuts: a.put(cut)
    bad = [a.read() for _ in cuts]; r = a.ask([c("Get-VM", {"Id": now.get("id")})]); hold("seven broken, huge or inflating frames are told and the next one works", all(b.get("bad") == "frame" for b in bad) and r["ok"] and len(world.calls) == n0 + 1, (bad, r))
    long = lambda n: frame(dict(id=76, epoch=1, calls=[c("Get-VM", {"Id": now.get("id")}, "v" + "x" * n, {"id": "Id:text"})])); a.put(long(2_200_000)); r = a.read(); a.put(long(2_000_000)); r2 = a.read()
    hold("a request that Windows PowerShell's own JSON would not read is told; one just below is run", r.get("bad") == "frame" and r.get("digest") and r2.get("ok") is True, (str(r)[:200], str(r2)[:200]))
    odd = packed(b'{"id": 77, "ID": 78, "epoch": 1, "calls": []}'); a.put(odd); r = a.read(); hold("a frame that came whole and cannot be read is told by its digest", r.get("bad") == "frame" and r.get("digest") == odd.split()[1].decode(), r)
    n0 = len(world.calls); r = a.ask([c("New-VM", {"Name": "twin", "NoVHD": True})], token=T(1), subject="i-1", generation=5); hold("a known token runs nothing", r.get("refused") == "done" and r["outcome"] == "ok" and len(world.calls) == n0, r)
    r = a.ask([c("Get-VM", {})], subject="i-1", generation=4); hold("a lower generation is refused", r.get("refused") == "generation" and r["seen"] == 5 and len(world.calls) == n0, r)
    a.ask([c("Get-VM", {})], epoch=3); n0 = len(world.calls); r = a.ask([c("Get-VM", {})], epoch=2); hold("an older driver is refused", r.get("refused") == "epoch" and r["seen"] == 3 and len(world.calls) == n0, r)
    t = time.time(); slow = a.send([c("Checkpoint-VM", {"Name": "x"})], epoch=3, token=T(5)); r = a.ask([c("Get-VM", {"Id": now.get("id")}, "all", {"id": "Id:text"})], epoch=3); quick = time.time() - t; hold("a slow call does not hold up another (%.0f ms)" % (quick * 1e3), quick < 0.8)
    n0 = len(world.calls); r = a.ask([c("Checkpoint-VM", {"Name": "x"})], epoch=3, token=T(5)); hold("the same token while it runs: running", r.get("refused") == "running" and len(world.calls) == n0, r)
    b = start(); r = b.ask([c("Checkpoint-VM", {"Name": "x"})], epoch=3, token=T(5)); hold("the same token at a second agent while it runs or after: nothing runs", r.get("refused") in ("running", "done") and len(world.calls) == n0, r); a.wait(slow)
    slow = a.send([c("Checkpoint-VM", {"Name": "x"})], epoch=3, token=T(6)); time.sleep(0.2); r = b.ask([c("Checkpoint-VM", {"Name": "x"})], epoch=3, token=T(6)); hold("a second agent sees what the first one runs", r.get("refused") == "running", r); a.wait(slow)
    big = "x" * 300000; t = time.time(); r = a.ask([c("Get-VM", {"Id": now.get("id")}, "v", {"id": "Id:text"}), c("Set-VM", {"VM": {"$ref": "v"}, "Notes": big}), c("Get-VM", {"Id": now.get("id")}, "w", SEEN)], epoch=3); hold("300 KB each way (%.0f ms)" % ((time.time() - t) * 1e3), r["ok"] and r["results"]["w"][0]["notes"] == big, str(r)[:300])
    n = 100; t = time.time()
    for _ in range(n): a.ask([c("Get-VM", {"Id": now.get("id")}, "v", {"id": "Id:text", "state": "State:text"})], epoch=3)
    print("  one request and back: %.1f ms" % ((time.time() - t) / n * 1e3)); t = time.time()
    for k in range(n): a.ask([c("Get-VM", {"Id": now.get("id")}, "v", {"id": "Id:text", "state": "State:text"})], epoch=3, token=T(1000 + k))
    print("  with a token: %.1f ms" % ((time.time() - t) / n * 1e3))
    for k in range(249): world.call("New-VM", "", {"Name": "i-%d" % k})
    t = time.time(); r = a.ask([c("Get-VM", {}, "all", SEEN)], epoch=3); print("  survey of %d: %.0f ms" % (len(r["results"]["all"]), (time.time() - t) * 1e3))
    r = b.ask([c("Get-VM", {})], epoch=9); n0 = len(world.calls); r = a.ask([c("Get-VM", {})], epoch=3); hold("an epoch that another agent saw is known here", r.get("refused") == "epoch" and r["seen"] == 9 and len(world.calls) == n0, r)
    try: rc = a.p.wait(5)
    except subprocess.TimeoutExpired: rc = "still there"
    hold("an agent of an older driver ends by itself (rc %s)" % rc, rc == 0)
    w = start(); ids = [w.send([c("Checkpoint-VM", {"Name": "busy"})], epoch=9) for _ in range(3)]; late = w.send([c("New-VM", {"Name": "late", "NoVHD": True})], epoch=9, token=T(20), subject="i-2", generation=5)
    time.sleep(0.2); b.ask([c("Get-VM", {"Id": now.get("id")})], epoch=10, subject="i-2", generation=6); [w.wait(i) for i in ids]; r = w.wait(late)
    hold("what waited behind busy lanes is checked when it starts, not when it came", r.get("refused") in ("epoch", "ending") and not any(x[2].get("Name") == "late" for x in world.calls), r)
    try: rc = w.p.wait(8)
    except subprocess.TimeoutExpired: rc = "still there"
    hold("and that agent ends too (rc %s)" % rc, rc == 0)
    slow = b.send([c("Checkpoint-VM", {"Name": "x"})], epoch=10, token=T(9), subject="i-1", generation=6); time.sleep(0.4); b.p.kill(); b.p.wait()
    journal = os.path.join(root, "journal"); open(journal, "ab").write(b"B 00ff")                      # a torn tail
    d = start(); n0 = len(world.calls); r = d.ask([c("Checkpoint-VM", {"Name": "x"})], epoch=10, token=T(9), subject="i-1", generation=6); hold("killed between begin and end: begun, not run again", r.get("refused") == "begun" and len(world.calls) == n0, r)
    r = d.ask([c("Get-VM", {"Id": now.get("id")})], epoch=10, token=T(10)); d.p.kill(); d.p.wait(); open(journal, "ab").write(b"P - 4")
    e = start(); n0 = len(world.calls); r = e.ask([c("Get-VM", {})], epoch=10, token=T(10)); hold("torn lines cost nothing before or after them; a token of then is known", r.get("refused") == "done" and len(world.calls) == n0, r)
    r = e.ask([c("Get-VM", {})], epoch=9); hold("epochs and generations outlive agents, whatever the tail says", e.hello["epoch"] == 10 and r.get("refused") == "epoch" and e.ask([c("Get-VM", {})], epoch=10, subject="i-1", generation=5).get("refused") == "generation", (e.hello, r))
    os.remove(journal); r = e.ask([c("New-VM", {"Name": "again", "NoVHD": True})], epoch=10, token=T(30)); n0 = len(world.calls); r2 = e.ask([c("New-VM", {"Name": "again", "NoVHD": True})], epoch=10, token=T(30)); r3 = e.ask([c("Get-VM", {})], epoch=10, token=T(10))
    hold("a journal that vanished under a living agent costs it nothing", r["ok"] and r2.get("refused") == "done" and r3.get("refused") == "done" and len(world.calls) == n0, (r, r2, r3))
    e = journals(start, e, world, root, T, now)
    storm(start, world, root, T)
    e.p.stdin.close(); rc = e.p.wait(15); hold("end of input ends the agent (rc %s)" % rc, rc == 0)
    q = start(silence=3); t = time.time()
    while time.time() - t < 4: q.put(b"\n"); time.sleep(0.5)
    alive = q.p.poll() is None
    try: rc = q.p.wait(15)
    except subprocess.TimeoutExpired: rc = "still there"
    hold("silence ends an agent, and any line breaks it (rc %s)" % rc, alive and rc == 0)
    for what, changed in (("a relative root", dict(root="root")), ("a root with ..", dict(root=root + "/../root")), ("a table that is none", dict(allowed=[])), ("a path of what is not allowed", dict(paths={"Hyper-V\\Remove-VM": ["Path"]})), ("a function that is not ours", dict(allowed={"Agent\\Invoke-Expression": ["Command"]}, paths={})), ("another key", dict(more=1))):
        q = Agent(port, folder, {**setup, **changed}); rc = q.p.wait(15); hold("%s is told and ends the agent (rc %s)" % (what, rc), q.hello.get("bad") == "setup" and rc == 1, q.hello)
    print("%d hold, %d fail; stderr %s" % (held, failed, b"".join(a.err + e.err)[:500]))
    door.shutdown(); shutil.rmtree(folder)
    return bool(failed)
if __name__ == "__main__": sys.exit(main())
