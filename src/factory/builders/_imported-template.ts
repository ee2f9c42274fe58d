import type { Facts } from '../../remotes/facts.ts'
import { ARCHITECTURES } from '../tdl/tdl.ts'

/** Distributions that are built as RHEL is, and so are called by its name. Source: Image Factory's import. */
const LIKE_RHEL: ReadonlySet<string> = new Set([
  'rhel',
  'centos',
  'rocky',
  'almalinux',
  'ol',
  'scientific',
])
const NAMES: Readonly<Record<string, string>> = {
  debian: 'Debian',
  ubuntu: 'Ubuntu',
  fedora: 'Fedora',
  opensuse: 'OpenSUSE',
  'opensuse-leap': 'OpenSUSE',
}
/** Where it came from nobody knows any more; a template has to name a place, and there is nothing at this one. */
const NOWHERE = 'http://imported.invalid/'

/**
 * A template (TDL) for an image that was made elsewhere: its system as TDL names it, and nothing to be done in it.
 * Undefined for processors that no TDL can name.
 */
export function toImportedTemplate(name: string, facts: Facts): string | undefined {
  const os = toOs(facts)
  const arch = ARCHITECTURES.find(
    (one) => one === (ALIASES[facts.architecture] ?? facts.architecture),
  )
  if (arch === undefined) return undefined
  return [
    '<template>',
    `  <name>${escapeText(name)}</name>`,
    '  <os>',
    `    <name>${escapeText(os.name)}</name>`,
    `    <version>${escapeText(os.version)}</version>`,
    `    <arch>${arch}</arch>`,
    `    <install type="url"><url>${NOWHERE}</url></install>`,
    '  </os>',
    `  <description>${escapeText(facts.prettyName)}</description>`,
    '</template>',
    '',
  ].join('\n')
}

const ALIASES: Readonly<Record<string, string>> = { i686: 'i386', '': 'x86_64' }

/** `RHEL-9`, `3` for 9.3; a version that is not told is 0. */
function toOs({ distro, version }: Facts): { name: string; version: string } {
  const [major = '', minor = ''] = version.split('.')
  if (LIKE_RHEL.has(distro)) return { name: `RHEL-${major || '0'}`, version: minor || '0' }
  return { name: NAMES[distro] ?? distro, version: version || '0' }
}

function escapeText(text: string): string {
  return text
    .replaceAll(/[^\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]/gu, ' ')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
}
