/** What a guest says of itself, read from its files: no command, no Python, no lsb_release. */
import { Failure } from '../base/failure.ts'

/** How packages are managed: `debian` (dpkg, apt), `redhat` (rpm, dnf or yum), `suse` (rpm, zypper). */
export type Family = 'debian' | 'redhat' | 'suse' | 'alpine' | 'arch'

export interface Facts {
  /** One spelling for each: `debian`, `ubuntu`, `rhel`, `centos`, `rocky`, … */
  readonly distro: string
  /** Undefined when Ingot does not know the distribution nor any it is like. */
  readonly family: Family | undefined
  /** VERSION_ID: `12`, `24.04`; empty for rolling ones. */
  readonly version: string
  /** VERSION_CODENAME: `bookworm`; may be empty. */
  readonly codename: string
  readonly prettyName: string
  /** Of the guest's programs: `x86_64`, `aarch64`; empty if it cannot be told. */
  readonly architecture: string
}

const FAMILIES: Readonly<Record<string, Family>> = {
  debian: 'debian',
  ubuntu: 'debian',
  linuxmint: 'debian',
  raspbian: 'debian',
  devuan: 'debian',
  kali: 'debian',
  pop: 'debian',
  rhel: 'redhat',
  centos: 'redhat',
  fedora: 'redhat',
  rocky: 'redhat',
  almalinux: 'redhat',
  ol: 'redhat',
  amzn: 'redhat',
  scientific: 'redhat',
  cloudlinux: 'redhat',
  opensuse: 'suse',
  'opensuse-leap': 'suse',
  'opensuse-tumbleweed': 'suse',
  sles: 'suse',
  sled: 'suse',
  suse: 'suse',
  alpine: 'alpine',
  arch: 'arch',
  manjaro: 'arch',
}

/** Spellings that recipes use for a distribution or a family, beside its own os-release ID. */
const ALIASES: Readonly<Record<string, readonly string[]>> = {
  rhel: ['redhat', 'redhatenterpriseserver'],
  centos: ['centos7'],
  almalinux: ['alma'],
  ol: ['oracle', 'oraclelinux'],
  amzn: ['amazon', 'amazonlinux'],
}

/** Every name under which a recipe may ask for this guest, its own first, its family's last. */
export function namesOf(facts: Pick<Facts, 'distro' | 'family'>): string[] {
  const family = facts.family === undefined ? [] : [facts.family]
  return [...new Set([facts.distro, ...(ALIASES[facts.distro] ?? []), ...family])]
}

/** Every name of a distribution or family that Ingot knows, in any spelling. */
export const KNOWN_DISTROS: readonly string[] = [
  ...new Set([
    ...Object.keys(FAMILIES),
    ...Object.values(FAMILIES),
    ...Object.values(ALIASES).flat(),
  ]),
]

/**
 * Assignments of an os-release file.
 * Source: os-release(5): shell-like, quotes optional, `#` starts a comment line.
 */
export function parseOsRelease(text: string): Record<string, string> {
  const values: Record<string, string> = {}
  for (const line of text.split('\n')) {
    const match = /^\s*([A-Za-z_][A-Za-z0-9_]*)=(.*?)\s*$/.exec(line)
    if (!match?.[1]) continue
    const raw = match[2] ?? ''
    const quoted = /^(["'])(.*)\1$/.exec(raw)
    values[match[1]] = quoted ? (quoted[2] ?? '').replaceAll(/\\(["'$`\\])/g, '$1') : raw
  }
  return values
}

/** Facts from an os-release file. Fails with NO_OPERATING_SYSTEM when it has no ID. */
export function toFacts(osRelease: string, architecture: string): Facts {
  const values = parseOsRelease(osRelease)
  const id = values['ID']?.toLowerCase()
  if (!id)
    throw new Failure(
      'NO_OPERATING_SYSTEM',
      'os-release has no ID, so the distribution cannot be told',
    )
  const distro = Object.entries(ALIASES).find(([, aliases]) => aliases.includes(id))?.[0] ?? id
  const like = (values['ID_LIKE'] ?? '').toLowerCase().split(/\s+/)
  const family = [distro, ...like]
    .map((name) => FAMILIES[name])
    .find((known) => known !== undefined)
  return {
    distro,
    family,
    version: values['VERSION_ID'] ?? '',
    codename: values['VERSION_CODENAME'] ?? '',
    prettyName: values['PRETTY_NAME'] ?? values['NAME'] ?? distro,
    architecture,
  }
}

const ELF_MACHINES: Readonly<Record<number, string>> = {
  3: 'i686',
  40: 'armv7l',
  62: 'x86_64',
  183: 'aarch64',
  21: 'ppc64le',
  22: 's390x',
  243: 'riscv64',
}

/**
 * The architecture of a program, from the start of its ELF file; empty if it is not one.
 *
 * | offset | size | field                     |
 * | ------ | ---- | ------------------------- |
 * | 0      | 4    | magic 7f 45 4c 46         |
 * | 5      | 1    | byte order (1 LE, 2 BE)   |
 * | 18     | 2    | machine                   |
 */
export function toArchitecture(elf: Uint8Array): string {
  if (elf.length < 20 || elf[0] !== 0x7f || elf[1] !== 0x45 || elf[2] !== 0x4c || elf[3] !== 0x46)
    return ''
  const view = new DataView(elf.buffer, elf.byteOffset, elf.byteLength)
  return ELF_MACHINES[view.getUint16(18, elf[5] !== 2)] ?? ''
}
