/**
 * Kernel settings of a guest, from its files.
 * Source: sysctl.d(5), sysctl.conf(5).
 */
import { posix } from 'node:path'
import type { Remote } from '../remotes/remote.ts'

/** A file in an earlier directory stands for one of the same name in a later. */
const DIRECTORIES = [
  '/etc/sysctl.d',
  '/run/sysctl.d',
  '/usr/local/lib/sysctl.d',
  '/usr/lib/sysctl.d',
  '/lib/sysctl.d',
]

export interface Setting {
  value: string
  /** The file that sets it. */
  file: string
}

/** `net/ipv4/conf/eth0.1/forwarding` and `net.ipv4.ip_forward` as the path below /proc/sys. */
export function toSysctlPath(key: string): string {
  const separator = /[./]/.exec(key)?.[0]
  if (separator === '/') return key
  return key.replaceAll(/[./]/g, (one) => (one === '.' ? '/' : '.'))
}

/** Values by path below /proc/sys. The later line wins. */
export function parseSysctl(text: string): Map<string, string> {
  const settings = new Map<string, string>()
  for (const line of text.split('\n')) {
    const match = /^\s*-?([^#;=\s][^=]*?)\s*=\s*(.*?)\s*$/.exec(line)
    if (match?.[1]) settings.set(toSysctlPath(match[1]), toPlainValue(match[2] ?? ''))
  }
  return settings
}

/** `4096	87380  6291456` with single spaces. */
export function toPlainValue(value: string): string {
  return value.trim().split(/\s+/).join(' ')
}

/** What the next boot will set, by path below /proc/sys. */
export async function readSysctl(remote: Remote): Promise<Map<string, Setting>> {
  const files = new Map<string, string>()
  for (const directory of DIRECTORIES)
    for (const name of (await remote.list(directory)) ?? [])
      if (name.endsWith('.conf') && !files.has(name)) files.set(name, posix.join(directory, name))
  const settings = new Map<string, Setting>()
  for (const name of [...files.keys()].sort()) {
    const file = files.get(name) ?? ''
    const text = await remote.readText(file)
    for (const [path, value] of parseSysctl(text ?? '')) settings.set(path, { value, file })
  }
  return settings
}
