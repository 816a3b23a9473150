<#
.SYNOPSIS
Runs the suite on Windows, as the account that runs this script or as a standard user that is made for it.

.DESCRIPTION
Needs an administrator (for -Account standard-user) and Python on PATH, installed where every user can read it. The
checkout is copied to a folder of its own, because a standard user cannot read an administrator's profile. The password
is random, is never written down, and the account is removed at the end. The exit code is pytest's.
#>
param(
    [ValidateSet('standard-user', 'administrator')]
    [string] $Account = 'standard-user',
    [int] $Minutes = 45
)
$ErrorActionPreference = 'Stop'
Set-StrictMode -Version Latest

$place = Join-Path $env:SystemDrive '\winsandbox-ci'
$copy = Join-Path $place 'checkout'
$output = Join-Path $place 'output.txt'
$result = Join-Path $place 'result.txt'
$python = Join-Path $place 'venv\Scripts\python.exe'

New-Item -ItemType Directory -Force $place | Out-Null
robocopy (Split-Path $PSScriptRoot) $copy /E /XD .venv __pycache__ /NFL /NDL /NJH /NJS | Out-Null
if ($LASTEXITCODE -ge 8) { throw "robocopy: $LASTEXITCODE" }
& python -m venv (Join-Path $place 'venv')
& $python -m pip install --quiet --disable-pip-version-check -e "$copy[test]"
if ($LASTEXITCODE -ne 0) { throw "pip: $LASTEXITCODE" }

if ($Account -eq 'administrator') {
    Push-Location $copy
    & $python -X utf8 -m pytest
    exit $LASTEXITCODE
}

$name = 'winsandbox-ci'
$random = [byte[]]::new(24)
[Security.Cryptography.RandomNumberGenerator]::Create().GetBytes($random)
# The first four characters satisfy every rule about kinds of characters.
$password = ConvertTo-SecureString ('aA1!' + [Convert]::ToBase64String($random)) -AsPlainText -Force
New-LocalUser -Name $name -Password $password -AccountNeverExpires | Out-Null
try {
    Add-LocalGroupMember -SID 'S-1-5-32-545' -Member $name   # Users, whatever they are called here
    icacls $place /grant "${name}:(OI)(CI)M" /Q | Out-Null
    if ($LASTEXITCODE -ne 0) { throw "icacls: $LASTEXITCODE" }

    # The environment of this process would come along: its profile and TEMP are another user's, so they are set anew.
    $profile_ = Join-Path $env:SystemDrive "\Users\$name"
    Set-Content -Encoding ascii (Join-Path $place 'run.cmd') @"
@echo off
set "USERNAME=$name"
set "USERPROFILE=$profile_"
set "APPDATA=$profile_\AppData\Roaming"
set "LOCALAPPDATA=$profile_\AppData\Local"
set "TEMP=$profile_\AppData\Local\Temp"
set "TMP=$profile_\AppData\Local\Temp"
cd /d "$copy"
whoami /groups > "$output" 2>&1
"$python" -X utf8 -m pytest --color=no >> "$output" 2>&1
echo %ERRORLEVEL%> "$result"
"@
    $credential = [pscredential]::new("$env:COMPUTERNAME\$name", $password)
    $process = Start-Process -FilePath (Join-Path $env:SystemRoot 'System32\cmd.exe') `
        -ArgumentList '/d', '/c', (Join-Path $place 'run.cmd') -WorkingDirectory $place `
        -Credential $credential -LoadUserProfile -PassThru
    $null = $process.Handle   # keeps the process object waitable
    if (-not $process.WaitForExit($Minutes * 60 * 1000)) {
        $process.Kill($true)
        Write-Output "Ended after $Minutes minutes."
    }
    if (Test-Path $output) { Get-Content $output }
    if (-not (Test-Path $result)) { throw 'The suite did not come to its end.' }
    $code = [int] (Get-Content $result)
}
finally {
    Remove-LocalUser -Name $name
}
exit $code
