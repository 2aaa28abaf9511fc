# What a scheduled task of ours does: it sends a disk to the gateway's depot, or fetches one from there. order.json in its working directory says which; state.json tells how far it is.
# Nothing is sent before the depot has shown the one certificate that the order names. No host has run this yet.
Set-StrictMode -Version 3
$ErrorActionPreference = 'Stop'
$folder = [System.Environment]::CurrentDirectory
$order = ConvertFrom-Json -InputObject ([System.IO.File]::ReadAllText([System.IO.Path]::Combine($folder, 'order.json')))
$depot = [System.Uri]::new($order.url)
$piece = 64 * 1024 * 1024
$buffer = [byte[]]::new(1024 * 1024)

function Write-State([string] $State, [long] $Done, [string] $Why) {
    $path = [System.IO.Path]::Combine($folder, 'state.json')
    [System.IO.File]::WriteAllText("$path.new", (ConvertTo-Json -Compress -InputObject @{ generation = $order.generation; state = $State; done = $Done; error = $Why }))
    if ([System.IO.File]::Exists($path)) { [System.IO.File]::Replace("$path.new", $path, [System.Management.Automation.Language.NullString]::Value) } else { [System.IO.File]::Move("$path.new", $path) }
}

# One request, one connection. The answer's head comes back; its body is left in the stream for whoever wants it.
function Invoke-Depot([string] $Method, [string[]] $Headers = @(), [System.IO.Stream] $From, [long] $Length, [scriptblock] $Use) {
    $client = [System.Net.Sockets.TcpClient]::new()
    try {
        $client.Connect($depot.DnsSafeHost, $depot.Port)
        $client.ReceiveTimeout = 60000
        $client.SendTimeout = 60000
        $stream = [System.Net.Security.SslStream]::new($client.GetStream(), $false, [System.Net.Security.RemoteCertificateValidationCallback] { $true })
        $stream.AuthenticateAsClient($depot.DnsSafeHost, $null, 'Tls12', $false)
        $sha = [System.Security.Cryptography.SHA256]::Create()
        $shown = [System.BitConverter]::ToString($sha.ComputeHash($stream.RemoteCertificate.GetRawCertData())).Replace('-', '').ToLowerInvariant()
        if ($shown -cne $order.certificate) { throw [System.UnauthorizedAccessException]::new("the depot shows another certificate: $shown") }
        $head = @("$Method $($depot.AbsolutePath) HTTP/1.1", "Host: $($depot.Authority)", "Authorization: Bearer $($order.token)", 'Connection: close') + $Headers
        if ($null -ne $From) { $head += "Content-Length: $Length" }
        $bytes = [System.Text.Encoding]::ASCII.GetBytes(($head -join "`r`n") + "`r`n`r`n")
        $stream.Write($bytes, 0, $bytes.Length)
        $left = $Length
        while ($null -ne $From -and $left -gt 0) {
            $count = $From.Read($buffer, 0, [int] [System.Math]::Min($left, $buffer.Length))
            if ($count -eq 0) { throw [System.IO.EndOfStreamException]::new('the disk ended early') }
            $stream.Write($buffer, 0, $count)
            $left -= $count
        }
        $stream.Flush()
        $text = [System.Text.StringBuilder]::new()
        while (-not $text.ToString().EndsWith("`r`n`r`n", [System.StringComparison]::Ordinal)) {
            $one = $stream.ReadByte()
            if ($one -lt 0 -or $text.Length -gt 16384) { throw [System.IO.InvalidDataException]::new('no answer that could be read') }
            $null = $text.Append([char] $one)
        }
        $lines = $text.ToString().Split([string[]] @("`r`n"), [System.StringSplitOptions]::RemoveEmptyEntries)
        $answer = @{ status = [int] $lines[0].Split(' ')[1] }
        foreach ($line in $lines) { $at = $line.IndexOf(':'); if ($at -gt 0) { $answer[$line.Substring(0, $at).ToLowerInvariant()] = $line.Substring($at + 1).Trim() } }
        if ($null -ne $Use) { & $Use $answer $stream }
        $answer
    }
    finally { $client.Dispose() }
}

function Send-Disk {
    $file = [System.IO.FileStream]::new($order.path, [System.IO.FileMode]::Open, [System.IO.FileAccess]::Read, [System.IO.FileShare]::Read)
    try {
        $total = $file.Length
        $here = [long] (Invoke-Depot 'HEAD')['x-ec2gw-length']
        while ($here -lt $total) {
            $count = [System.Math]::Min($piece, $total - $here)
            $null = $file.Seek($here, [System.IO.SeekOrigin]::Begin)
            $answer = Invoke-Depot 'PUT' @("Content-Range: bytes $here-$($here + $count - 1)/$total") $file $count
            if (204, 409 -notcontains $answer.status) { throw [System.IO.InvalidDataException]::new("the depot answered $($answer.status)") }
            $here = [long] $answer['x-ec2gw-length']
            Write-State 'Running' $here ''
        }
        $here
    }
    finally { $file.Dispose() }
}

function Receive-Disk {
    $part = "$($order.path).part"
    $null = [System.IO.Directory]::CreateDirectory([System.IO.Path]::GetDirectoryName($part))
    $file = [System.IO.FileStream]::new($part, [System.IO.FileMode]::OpenOrCreate, [System.IO.FileAccess]::ReadWrite, [System.IO.FileShare]::None)
    try {
        if ($file.Length -gt $order.length) { $file.SetLength(0) }
        $null = $file.Seek(0, [System.IO.SeekOrigin]::End)
        while ($file.Length -lt $order.length) {
            $answer = Invoke-Depot 'GET' @("Range: bytes=$($file.Length)-") $null 0 {
                param($Head, $Stream)
                if ($Head.status -ne 206) { return }
                $told = $file.Length
                while (($count = $Stream.Read($buffer, 0, $buffer.Length)) -gt 0) {
                    $file.Write($buffer, 0, $count)
                    if ($file.Length - $told -ge $piece) { $told = $file.Length; Write-State 'Running' $told '' }
                }
            }
            if ($answer.status -ne 206) { throw [System.IO.InvalidDataException]::new("the depot answered $($answer.status)") }
        }
        $null = $file.Seek(0, [System.IO.SeekOrigin]::Begin)
        $sha = [System.Security.Cryptography.SHA256]::Create()
        $found = [System.BitConverter]::ToString($sha.ComputeHash($file)).Replace('-', '').ToLowerInvariant()
        if ($found -cne $order.sha256) { $file.SetLength(0); throw [System.IO.InvalidDataException]::new("its digest is $found") }
        $file.Flush($true)
    }
    finally { $file.Dispose() }
    [System.IO.File]::Move($part, $order.path)
    [long] $order.length
}

for ($try = 1; $true; $try++) {
    try {
        if ($order.direction -ceq 'Send') { $done = Send-Disk } else { $done = Receive-Disk }
        Write-State 'Done' $done ''
        return
    }
    catch [System.IO.IOException], [System.Net.Sockets.SocketException] {
        if ($try -ge 10) { Write-State 'Failed' 0 $_.Exception.Message; return }
        Start-Sleep -Seconds 5                            # what got through is not sent again
    }
    catch { Write-State 'Failed' 0 $_.Exception.Message; return }
}
