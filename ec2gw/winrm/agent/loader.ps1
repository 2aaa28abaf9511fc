# What is passed on the command line, without these comments and as one line. The agent's text follows on stdin as one base64 line, then its first frame configures it.
# The automatic variable for pipeline input must not occur here: PowerShell would drain stdin itself. No double quote and no double blank either: a command line eats them.
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$in = New-Object System.IO.StreamReader([Console]::OpenStandardInput(), [System.Text.Encoding]::UTF8)
$out = New-Object System.IO.StreamWriter([Console]::OpenStandardOutput(), [System.Text.Encoding]::ASCII)
[Console]::SetOut([System.IO.TextWriter]::Null)
$text = [System.Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($in.ReadLine()))
& ([ScriptBlock]::Create($text)) -Reader $in -Writer $out -Text $text
