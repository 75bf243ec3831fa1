/**
 * The `restore_command` of a restore that Retake serves itself: a shell script that only waits for files in a spool, so a
 * segment that is ready costs a rename. Rule R7 decides its exit status:
 *
 * - 0: delivered.
 * - 1: certainly absent (the feeder said so). PostgreSQL then takes it for the end of the archive.
 * - 126: everything else. PostgreSQL stops instead of promoting a server that lacks WAL.
 *
 * The files are the whole protocol: `want/NAME` asks, `ready/NAME` or `absent/NAME` answers, `failed` says that nothing
 * more will come, and `beat` changes as long as the feeder lives. The script runs under the server's account, which need
 * not be allowed to signal the feeder's process.
 */
import { quoteForRestoreCommand, quoteShell } from './settings.ts'

/** How long the feeder may give no sign of life; a short pause (a suspended laptop) is survived. */
const SILENCE_STEPS = 1200
/** At first it looks more often (every 10 ms): most files are about to be ready. */
const QUICK_STEPS = 50
/** After this much silence a process that is gone from /proc counts as dead at once. */
const SUSPICION_STEPS = 40

export function spoolPaths(spool: string) {
  return {
    ready: `${spool}/ready`,
    want: `${spool}/want`,
    absent: `${spool}/absent`,
    filling: `${spool}/filling`,
    histories: `${spool}/histories`,
    failed: `${spool}/failed`,
    beat: `${spool}/beat`,
    script: `${spool}/fetch.sh`,
  }
}

export function restoreCommandOf(spool: string): string {
  return `/bin/sh ${quoteForRestoreCommand(spoolPaths(spool).script)} %f "%p"`
}

/** `feederPid` is the process that fills the spool; `silenceSteps` (of 50 ms) is how long it may give no sign of life. */
export function renderFetchScript(
  spool: string,
  options: { readonly feederPid: number; readonly silenceSteps?: number | undefined },
): string {
  const silenceSteps = options.silenceSteps ?? SILENCE_STEPS
  return `#!/bin/sh
# Written by Retake for one restore. Called by PostgreSQL: fetch.sh NAME DESTINATION
# Exit status: 0 delivered, 1 certainly absent, 126 anything else (the server must stop then, never promote).
spool=${quoteShell(spool)}
feeder=${options.feederPid}
name=$1
destination=$2

fail() {
  echo "retake: $1" >&2
  exit 126
}

case "$name" in
  '' | */* | .*) fail "not a WAL file name: '$name'" ;;
esac
[ -n "$destination" ] || fail "no destination given for $name"

asked=no
last=
silent=0
quick=0
while :; do
  if [ -f "$spool/ready/$name" ]; then
    rm -f "$spool/want/$name" || fail "cannot take $name from the spool"
    mv "$spool/ready/$name" "$destination" || fail "cannot move $name to $destination"
    exit 0
  fi
  if [ -e "$spool/absent/$name" ]; then
    rm -f "$spool/want/$name"
    exit 1
  fi
  if [ -e "$spool/failed" ]; then
    cat "$spool/failed" >&2
    exit 126
  fi
  [ -d "$spool/want" ] || fail "the restore is no longer served: $spool is gone"
  if [ "$asked" = no ]; then
    (: >"$spool/want/$name") 2>/dev/null || fail "cannot ask for $name in $spool"
    asked=yes
  fi
  if [ "$quick" -lt ${QUICK_STEPS} ] && sleep 0.01 2>/dev/null; then
    quick=$((quick + 1))
    continue
  fi
  beat=
  read -r beat 2>/dev/null <"$spool/beat" || [ -n "$beat" ] || beat=none
  if [ "$beat" = "$last" ]; then
    silent=$((silent + 1))
  else
    last=$beat
    silent=0
  fi
  if [ "$silent" -ge ${SUSPICION_STEPS} ] && [ -d /proc/self ] && [ ! -d "/proc/$feeder" ]; then
    fail "the process that serves the WAL of this restore (pid $feeder) has ended"
  fi
  [ "$silent" -lt ${silenceSteps} ] || fail "the process that serves the WAL of this restore (pid $feeder) gives no sign of life"
  sleep 0.05 2>/dev/null || { sleep 1; silent=$((silent + 19)); }
done
`
}

/**
 * What stands in for the script when the target has been reached and the server will go on without us (paused, or stopped
 * at the target and started again later). It has its recovery target still, so it can never promote before that; the WAL up
 * to it lies in pg_wal. Histories are served so that a promotion picks an unused timeline; nothing else comes any more.
 */
export function renderFrozenScript(spool: string): string {
  return `#!/bin/sh
# Written by Retake when this server had reached its recovery target. Called by PostgreSQL: fetch.sh NAME DESTINATION
histories=${quoteShell(spoolPaths(spool).histories)}
case "$1" in
  *.history)
    [ -d "$histories" ] || { echo "retake: $histories is missing" >&2; exit 126; }
    [ -f "$histories/$1" ] || exit 1
    cp "$histories/$1" "$2" || exit 126
    exit 0 ;;
esac
exit 1
`
}
