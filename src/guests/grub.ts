/**
 * Arguments that a guest's boot loader gives to the kernel, read from GRUB's settings, from the
 * menu that was generated of them, and from boot loader entries.
 * Source: GRUB manual, "Simple configuration handling"; the Boot Loader Specification, type 1.
 */
import type { Remote } from '../remotes/remote.ts'
import { toLines } from './lines.ts'

export const DEFAULTS = '/etc/default/grub'
const DEFAULTS_DIRECTORY = '/etc/default/grub.d'
export const MENUS = ['/boot/grub/grub.cfg', '/boot/grub2/grub.cfg']
const ENTRIES = '/boot/loader/entries'
const ENVIRONMENTS = ['/boot/grub2/grubenv', '/boot/grub/grubenv']

/** In every entry of the menu; only in those that are not for recovery. */
export const VARIABLES = ['GRUB_CMDLINE_LINUX', 'GRUB_CMDLINE_LINUX_DEFAULT'] as const
export type Variable = (typeof VARIABLES)[number]

const assignmentOf = (variable: Variable) =>
  new RegExp(
    `^(\\s*(?:export\\s+)?${variable}=)(?:"((?:[^"\\\\]|\\\\.)*)"|'([^']*)'|([^\\s#"']*))(.*)$`,
  )

/** The last assignment of a variable, in words; undefined if there is none. */
export function parseCommandLine(text: string, variable: Variable): string[] | undefined {
  const match = toLines(text)
    .map((line) => assignmentOf(variable).exec(line))
    .findLast((one) => one !== null)
  if (!match) return undefined
  return toWords(match[2] ?? match[3] ?? match[4] ?? '')
}

/** The text with every assignment of the variable changed; quotes and all around them stay. */
export function editCommandLine(
  text: string,
  variable: Variable,
  edit: (words: string[]) => string[],
): string {
  return text
    .split('\n')
    .map((line) => {
      const match = assignmentOf(variable).exec(line)
      if (!match) return line
      const words = toWords(match[2] ?? match[3] ?? match[4] ?? '')
      const edited = edit(words)
      if (edited.join(' ') === words.join(' ')) return line
      const quote = match[3] === undefined ? '"' : "'"
      return `${match[1]}${quote}${edited.join(' ')}${quote}${match[5]}`
    })
    .join('\n')
}

function toWords(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== '')
}

/** GRUB's settings, in the order in which they are read. Empty if the guest has none. */
export async function readDefaults(remote: Remote): Promise<{ path: string; text: string }[]> {
  const paths = [DEFAULTS]
  for (const name of (await remote.list(DEFAULTS_DIRECTORY)) ?? [])
    if (name.endsWith('.cfg')) paths.push(`${DEFAULTS_DIRECTORY}/${name}`)
  const found: { path: string; text: string }[] = []
  for (const path of paths) {
    const text = await remote.readText(path)
    if (text !== undefined) found.push({ path, text })
  }
  return found
}

/**
 * A line of a menu, or of a boot loader entry: what stands before the words, and the words. A menu's
 * lines without a root are of memory tests and the like.
 */
const MENU_LINE = /^(\s*linux(?:16|efi)?\s+\S+\s+)(.*\broot=.*)$/
const ENTRY_LINE = /^(options\s+)(.*)$/

/** Kernel command lines of a generated menu: one for each entry. */
export function parseMenu(text: string): string[][] {
  return toLines(text).flatMap((line) => {
    const match = MENU_LINE.exec(line)
    return match ? [toWords(match[2] ?? '')] : []
  })
}

/** The text of a menu or of a boot loader entry with every kernel command line changed. */
export function editBootLines(text: string, edit: (words: string[]) => string[]): string {
  return text
    .split('\n')
    .map((line) => {
      const match = MENU_LINE.exec(line) ?? ENTRY_LINE.exec(line)
      if (!match) return line
      const words = toWords(match[2] ?? '')
      const edited = edit(words).join(' ')
      return edited === words.join(' ') ? line : `${match[1]?.trimEnd()} ${edited}`.trimEnd()
    })
    .join('\n')
}

/** Command lines of what the boot loader offers, by the file that has them. */
export async function readBootLines(
  remote: Remote,
): Promise<{ path: string; lines: string[][] }[]> {
  const found: { path: string; lines: string[][] }[] = []
  for (const path of MENUS) {
    const text = await remote.readText(path)
    if (text !== undefined) found.push({ path, lines: parseMenu(text) })
  }
  let variables: Map<string, string> | undefined
  for (const name of (await remote.list(ENTRIES)) ?? []) {
    if (!name.endsWith('.conf')) continue
    variables ??= await readEnvironment(remote)
    const path = `${ENTRIES}/${name}`
    const lines = toLines((await remote.readText(path)) ?? '')
      .filter((line) => ENTRY_LINE.test(line))
      .map((line) => expand(line.slice(8), variables ?? new Map()))
    found.push({ path, lines: [toWords(lines.join(' '))] })
  }
  return found.filter(({ lines }) => lines.length > 0)
}

async function readEnvironment(remote: Remote): Promise<Map<string, string>> {
  const variables = new Map<string, string>()
  for (const path of ENVIRONMENTS)
    for (const line of toLines((await remote.readText(path)) ?? '')) {
      const at = line.indexOf('=')
      if (at > 0) variables.set(line.slice(0, at), line.slice(at + 1))
    }
  return variables
}

function expand(text: string, variables: ReadonlyMap<string, string>): string {
  return text.replaceAll(/\$\{?(\w+)\}?/g, (whole, name: string) => variables.get(name) ?? whole)
}
