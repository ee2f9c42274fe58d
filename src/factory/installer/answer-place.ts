/** How an installer is told where its answer file is. */
import { Failure } from '../../base/failure.ts'
import { ANSWER_HOST } from '../../machines/machine.ts'
import type { OsName } from '../template.ts'
import type { AnswerKind, InstallSystem } from './install-systems.ts'
import { compareVersions } from './install-systems.ts'
import type { AnswerWay } from './installer-options.ts'

/** Names that installers look for. */
const FILE_NAMES: Readonly<Record<AnswerKind, string>> = {
  preseed: 'preseed.cfg',
  kickstart: 'ks.cfg',
  autoinstall: 'user-data',
  autoyast: 'autoinst.xml',
  unattend: 'Autounattend.xml',
}

/** Labels of discs that installers look at by themselves. */
const LABELS: Readonly<Partial<Record<AnswerKind, string>>> = {
  kickstart: 'OEMDRV',
  autoinstall: 'cidata',
  unattend: 'OEMDRV',
}

export interface AnswerPlace {
  readonly way: AnswerWay
  /** All that is given: the answer file, and what its reader wants beside it. */
  readonly files: readonly { readonly name: string; readonly content: Uint8Array }[]
  /** Of a disc. */
  readonly label: string
  /** For the kernel's command line. */
  readonly words: readonly string[]
}

/**
 * Where the answer file lies for the installer. `token` makes its address one that nobody guesses.
 * Fails with REQUEST_INVALID when the installer does not look there.
 */
export function placeAnswer(
  system: InstallSystem,
  os: OsName,
  text: string,
  wanted: AnswerWay | undefined,
  token: string,
): AnswerPlace {
  const way = wanted ?? system.ways[0] ?? 'initrd'
  if (!system.ways.includes(way))
    throw new Failure(
      'REQUEST_INVALID',
      `answer_via: ${system.name} finds no answer file by '${way}'; it does by ${system.ways.join(', ')}`,
    )
  const answer = { name: FILE_NAMES[system.answer], content: Buffer.from(text) }
  // cloud-init takes a seed only if there is meta-data.
  const metaData = { name: 'meta-data', content: Buffer.from(`instance-id: ${token}\n`) }
  return {
    way,
    files: system.answer === 'autoinstall' ? [answer, metaData] : [answer],
    label: LABELS[system.answer] ?? 'ANSWERS',
    words: wordsOf(system.answer, os, way, answer.name, `http://${ANSWER_HOST}/${token}/`),
  }
}

/** Source: each installer's manual on boot parameters. */
function wordsOf(
  kind: AnswerKind,
  os: OsName,
  way: AnswerWay,
  file: string,
  base: string,
): string[] {
  if (kind === 'preseed') {
    const place = way === 'http' ? `preseed/url=${base}${file}` : `preseed/file=/${file}`
    return ['auto=true', 'priority=critical', 'locale=en_US.UTF-8', 'keymap=us', place]
  }
  if (kind === 'kickstart') {
    // Without its prefix the word is passed over from anaconda 34 on, with it before 7.
    const prefix = isOldAnaconda(os) ? '' : 'inst.'
    if (way === 'disc') return [`${prefix}ks=hd:LABEL=OEMDRV:/${file}`, `${prefix}text`]
    const place = way === 'http' ? `${base}${file}` : `file:/${file}`
    return [`${prefix}ks=${place}`, `${prefix}text`]
  }
  if (kind === 'autoinstall')
    return ['autoinstall', way === 'http' ? `ds=nocloud;s=${base}` : 'ds=nocloud']
  if (kind === 'autoyast')
    return [`autoyast=${way === 'http' ? `${base}${file}` : `file:///${file}`}`, 'textmode=1']
  return []
}

/** Anaconda of Fedora 17 and before, of RHEL 6 and before, knows no `inst.`. */
export function isOldAnaconda(os: OsName): boolean {
  return isBefore(os, { fedora: '18', rhel: '7' })
}

/** Whether a system is older than these releases of Fedora, and of RHEL and its kin. */
export function isBefore(
  { name, version }: OsName,
  { fedora, rhel }: { readonly fedora: string; readonly rhel: string },
): boolean {
  const isFedora = /^Fedora/i.test(name)
  const release = isFedora ? version : (/-(\d+)$/.exec(name)?.[1] ?? version)
  return compareVersions(release, isFedora ? fedora : rhel) < 0
}
