/** Rules of the texts in a TDL. Each says why a text will not do, or nothing if it will. */
import { posix } from 'node:path'
import { GiB, KiB, MiB, TiB } from '../../base/units.ts'

export type TextRule = (text: string) => string | undefined

/** Without what XML calls white space at its ends. Not by a pattern, which would take long over long blanks. */
export function trimSpace(text: string): string {
  const isSpace = (at: number) => ' \t\n\r'.includes(text.charAt(at))
  let start = 0
  let end = text.length
  while (start < end && isSpace(start)) start++
  while (end > start && isSpace(end - 1)) end--
  return text.slice(start, end)
}

const MAX_LINE = 4096
const MAX_SHOWN = 60

/** A text as messages show it: quoted, and not too long. */
export function show(text: string): string {
  const quoted = JSON.stringify(text).replaceAll(
    /[\x7f-\x9f]/g,
    (character) => `\\x${character.charCodeAt(0).toString(16)}`,
  )
  return quoted.length > MAX_SHOWN ? `${quoted.slice(0, MAX_SHOWN - 1)}…` : quoted
}

export const isSomething: TextRule = (text) =>
  trimSpace(text) === '' ? 'wanted a text, found nothing' : undefined

export const isLine: TextRule = (text) => {
  if (trimSpace(text) === '') return 'wanted a text, found nothing'
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  if (/[\0-\x1f\x7f-\x9f\u2028\u2029]/.test(text))
    return `wanted a single line, found ${show(text)}`
  return text.length > MAX_LINE
    ? `wanted at most ${MAX_LINE} characters, found ${text.length}`
    : undefined
}

/** Source: Oz fetches by these. */
export const isAddress: TextRule = (text) =>
  /^(https?|ftp|file):\/\/[!-~]+$/i.test(text)
    ? undefined
    : `wanted an address such as https://…, http://…, ftp://… or file:///…, found ${show(text)}`

/** Of files and commands: of what the web has, and of what lies beside the template. */
export const isContentAddress: TextRule = (text) =>
  isAddress(text) === undefined && !/^ftp:/i.test(text)
    ? undefined
    : `wanted an address such as https://…, http://… or file:///…, found ${show(text)}`

export const isBase64: TextRule = (text) =>
  /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(
    text.replaceAll(/\s+/g, ''),
  )
    ? undefined
    : 'wanted a text in base64, which has letters, digits, + and /, and = at its end'

export const BOOLEANS: Readonly<Record<string, boolean>> = {
  yes: true,
  true: true,
  no: false,
  false: false,
}

export const isBoolean: TextRule = (text) =>
  Object.hasOwn(BOOLEANS, text) ? undefined : `wanted yes, no, true or false, found ${show(text)}`

export const isPosition: TextRule = (text) =>
  /^[1-9]\d{0,5}$/.test(text) ? undefined : `wanted a number from 1, found ${show(text)}`

export const isPackageName: TextRule = (text) =>
  /^[^ \t\n\r-][^ \t\n\r]{0,254}$/u.test(text)
    ? undefined
    : `wanted the name of a package, one word, found ${show(text)}`

/** Where a file goes: paths that are not absolute are root's. */
export function toGuestPath(text: string): string {
  return posix.resolve('/root', text)
}

export const isFilePath: TextRule = (text) => {
  const problem = isLine(text)
  if (problem !== undefined) return problem
  return text.endsWith('/') || text.split('/').some((part) => part === '..' || part === '.')
    ? `wanted the path of a file in the guest, without '.' and '..', found ${show(text)}`
    : undefined
}

/**
 * Bytes of a disk. No unit means GiB, `G` and `T` are powers of 1024 too; `GB` is a power of 1000, `GiB` of 1024, and
 * so on up to `YB`. Undefined: it is no size.
 */
export function parseDiskSize(text: string): number | undefined {
  const match = /^(\d{1,15})\s*(?:([GT])|([KMGTPEZY])(i?)B)?$/.exec(text)
  if (!match) return undefined
  const [, digits, bare = 'G', letter, binary] = match
  const factor =
    letter === undefined
      ? { G: GiB, T: TiB }[bare]
      : (binary ? KiB : 1000) ** ('KMGTPEZY'.indexOf(letter) + 1)
  return Number(digits) * (factor ?? GiB)
}

/** A size as a template has it, in the largest unit that divides it. */
export function toDiskSizeText(size: number): string {
  const units = [
    ['TiB', TiB],
    ['GiB', GiB],
    ['MiB', MiB],
    ['KiB', KiB],
    ['KB', 1000],
  ] as const
  const [name, unit] = units.find(([, each]) => size % each === 0) ?? ['KiB', KiB]
  return `${Math.ceil(size / unit)}${name}`
}

export const isSize: TextRule = (text) =>
  parseDiskSize(text) === undefined
    ? `wanted a number of GiB, or one with a unit such as 20GiB, 20GB or 2T, found ${show(text)}`
    : undefined

/** What a file system can hold as one file. */
const MAX_DISK = 8 * 1024 * 1024 * TiB

/** Whether there can be a disk of a size. */
export const isPossibleSize: TextRule = (text) => {
  const size = parseDiskSize(text)
  if (size === 0) return 'wanted a disk with some room, found 0'
  return (size ?? 0) > MAX_DISK ? `wanted at most 8 EiB, found ${show(text)}` : undefined
}
