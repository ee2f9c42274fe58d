/**
 * How commands run in the appliance: a shell script there, the agent, prepares the guest once and
 * then runs one command after another. It is talked to over three serial ports of its own, so that
 * input and output have no limit and are told while they come, and libguestfs stays free for files.
 * A command costs a twentieth of what libguestfs's own `sh` costs, which prepares the guest anew.
 *
 * | port      | to the agent                                       | from the agent                        |
 * | --------- | -------------------------------------------------- | ------------------------------------- |
 * | `control` | `run ID SECONDS SIZE INPUT NONCE` and as many      | `ready`, `alive`, `done ID CODE`; the |
 * |           | bytes of script and of input; `quit`               | code is `late` when it was killed     |
 * | `stdout`  |                                                    | what it prints, then a mark           |
 * | `stderr`  |                                                    | the same                              |
 */
import { Failure } from '../base/failure.ts'
import { plainEnvironment } from './plain-environment.ts'
import type { Command } from './remote.ts'

export const PORTS = ['control', 'stdout', 'stderr'] as const
export type Port = (typeof PORTS)[number]

/** Names by which the appliance knows the ports, below /dev/virtio-ports. */
export const portName = (port: Port): string => `org.ingot.${port}`

/** Seconds between two signs of life while a command runs. */
const PULSE = 2

/** Where the agent keeps what it works with, in the appliance's memory. */
const DIRECTORY = '/run/ingot'

/** What every command starts from, as words of a shell. */
const PLAIN = Object.entries(plainEnvironment)
  .map(([name, value]) => `${name}=${quote(value)}`)
  .join(' ')

/**
 * The agent. In its first stage it opens the ways for output and enters namespaces of its own: all
 * that is mounted for the guest's commands is gone with the agent, and it is their process 1, which
 * no command can end and which with one `kill -1` ends all of them.
 *
 * Descriptors: 6 and 7 are the ways for output and errors, 8 tells that a command ended, 9 is the
 * control port. Only the script itself knows the environment of a command, so nothing in that can
 * change a variable of the agent.
 */
const AGENT = `
umask 022
cd /
directory=${DIRECTORY} root=/sysroot
exec 2>>$directory/log
port() { echo /dev/virtio-ports/org.ingot.$1; }
if [ "$1" = start ]; then
  mkfifo $directory/out $directory/err $directory/ended
  exec 6<>$directory/out 7<>$directory/err
  cat <&6 >$(port stdout) & cat <&7 >$(port stderr) &
  echo $$ >$directory/pid
  exec env -i PATH="$PATH" unshare --mount --propagation private --pid --fork --kill-child bash $0 serve "$2"
fi
LC_ALL=C chroot=$(type -P chroot)
unset PWD OLDPWD SHLVL
export ${PLAIN}
place() { [ -d $root/$1 ] && [ ! -L $root/$1 ]; }
place proc && mount -t proc proc $root/proc
place sys && mount --rbind /sys $root/sys
place dev && mount --rbind /dev $root/dev
place run && mount -t tmpfs -o mode=0755,nosuid,nodev tmpfs $root/run && mkdir -m 1777 $root/run/lock

policy=$root/usr/sbin/policy-rc.d
if place usr/sbin && [ ! -e $policy ]; then
  printf '#!/bin/sh\n# Services are not started in an image.\nexit 101\n' >$policy
  chmod 755 $policy
else
  policy=
fi

resolver=
if [ "$2" = network ] && place etc; then
  target=$(readlink $root/etc/resolv.conf)
  case $target in
    /run/* | ../run/* | /var/run/*)
      target=$root/run/\${target#*run/}
      mkdir -p "\${target%/*}" && cat /etc/resolv.conf >"$target" ;;
    '')
      [ -e $root/etc/resolv.conf ] || { resolver=$root/etc/resolv.conf; : >$resolver; }
      mount --bind /etc/resolv.conf $root/etc/resolv.conf ;;
  esac
fi

carry_out() { # SECONDS, or 0 for no limit: sets code
  local deadline=$((SECONDS + $1)) slice=${PULSE} told part= gone=
  { ( set -- "$chroot"; eval "$script" ); echo $id $? >&8; } &
  while :; do
    [ $1 = 0 ] || slice=$((deadline - SECONDS < ${PULSE} ? deadline - SECONDS : ${PULSE}))
    if [ $slice -le 0 ]; then code=late; break; fi
    if IFS= read -r -t \${gone:-$slice} -u 8 told; then
      told=$part$told part=
      case $told in "$id "*) code=\${told#* }; break ;; esac
      continue # what is left of a report that came too late for the command before
    fi
    part=$part$told # the time may be over in the middle of a line
    if kill -0 $!; then
      echo alive >&9
    elif [ -z "$gone" ] || [ -n "$told" ]; then
      gone=0.1 # it may have told before it went
    else
      code=137 # the command killed everything, its reporter too
      break
    fi
  done
  kill -KILL -1
  wait
} 2>/dev/null

exec 8<>$directory/ended 9<>$(port control)
echo ready >&9
while :; do
  read -r -u 9 what id seconds size input nonce || { sleep 0.1; continue; }
  case $what in
    run)
      if [ $size -le 4096 ]; then read -r -N $size -u 9 script; else script=$(head -c $size <&9); fi
      : >$directory/input
      [ $input = 0 ] || head -c $input <&9 >$directory/input
      carry_out $seconds
      script=
      : >$directory/input
      printf '\\036%s %s\\n' $nonce $id >&6
      printf '\\036%s %s\\n' $nonce $id >&7
      echo done $id $code >&9 ;;
    quit) break ;;
  esac
done
[ -z "$policy" ] || rm -f $policy
[ -z "$resolver" ] || { umount $resolver && [ ! -s $resolver ] && rm -f $resolver; }
`

/** Shell for the appliance: starts the agent and returns at once. */
export function startAgent(network: boolean): string {
  return `mkdir -m 700 ${DIRECTORY} && cat >${DIRECTORY}/agent <<'END OF AGENT' && setsid -f bash ${DIRECTORY}/agent start ${network ? 'network' : 'alone'} </dev/null >/dev/null 2>&1
${AGENT}END OF AGENT
`
}

/** Shell for the appliance: returns when the agent that was told to quit is gone; else ends it. */
export const AWAIT_AGENT = `pid=$(cat ${DIRECTORY}/pid); timeout 20 tail -f -s 0.1 --pid=$pid /dev/null || kill -KILL $pid`

/** Shell for the appliance: what the agent complained about. */
export const AGENT_LOG = `tail -n 20 ${DIRECTORY}/log`

/** Variables that bash does not let be set; the guest's own `env` sets these. */
const BASH_OWN: ReadonlySet<string> = new Set([
  'BASHOPTS',
  'BASH_VERSINFO',
  'EUID',
  'PPID',
  'SHELLOPTS',
  'UID',
])

/**
 * The script that becomes the command: it sets the environment, which so never stands on a command
 * line, and gives way to the command in the guest's root.
 */
export function scriptOf({ argv, env = {} }: Pick<Command, 'argv' | 'env'>): string {
  const inside = Object.entries(env).filter(([name]) => isSetInside(name))
  const outside = Object.entries(env).filter(([name]) => !isSetInside(name))
  const prefix = inside.length > 0 ? ['env', ...inside.map((pair) => pair.join('='))] : []
  const words = [...prefix, ...argv].map(quote).join(' ')
  return [
    ...outside.map(([name, value]) => `unset ${name}; export ${name}=${quote(value)}`),
    `exec "$1" /sysroot ${words} <${DIRECTORY}/input >&6 2>&7 6>&- 7>&- 8>&- 9>&-`,
  ].join('\n')
}

/** What would change the shell or the linker of the appliance, or cannot be set there. */
function isSetInside(name: string): boolean {
  return BASH_OWN.has(name) || name.startsWith('LD_')
}

function quote(word: string): string {
  if (word.includes('\0')) throw new Failure('REMOTE_CANNOT', 'a word holds a NUL byte')
  return `'${word.replaceAll("'", `'\\''`)}'`
}
