/** Rules for texts of a step: held when the recipe is read, and again once `{{ … }}` are filled in. */
import { posix } from 'node:path'
import { Failure } from '../../base/failure.ts'
import type { Path } from '../../schema/find-faults.ts'
import { isTemplate } from '../template.ts'
import type { Loading } from '../validator.ts'

/** Why a text will not do; undefined if it will. */
export type Rule = (text: string) => string | undefined

/** Reports a fault at load, unless only the run can tell. */
export function expectText(
  loading: Loading,
  path: Path,
  text: string | undefined,
  rule: Rule,
): void {
  const why = text === undefined || isTemplate(text) ? undefined : rule(text)
  if (why !== undefined) loading.fault(path, why)
}

/** The text, if it keeps the rule. Fails with STEP_FAILED. */
export function demandText(text: string, rule: Rule): string {
  const why = rule(text)
  if (why !== undefined) throw new Failure('STEP_FAILED', why)
  return text
}

export const isWebAddress: Rule = (text) =>
  /^https?:\/\/[!-~]+$/i.test(text) && URL.canParse(text)
    ? undefined
    : `'${text}' cannot be fetched; wanted https://… or http://…`

export const isBase64: Rule = (text) =>
  /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(
    text.replaceAll(/\s+/g, ''),
  )
    ? undefined
    : 'wanted a text in base64, which has letters, digits, + and /, and = at its end'

export const isGuestPath: Rule = (text) => {
  if (!text.startsWith('/')) return `'${text}' must be an absolute path of the guest`
  if (text.includes('\0') || text.split('/').includes('..') || text.length > 4096)
    return `'${text}' must be a plain path, without '..'`
  return posix.normalize(text) === '/' ? 'a path other than / is wanted' : undefined
}

/** For values that stand on a line of a configuration file. */
export const isOneLine: Rule = (text) =>
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  /[\0-\x08\n-\x1f\x7f]/.test(text) ? `${JSON.stringify(text)} must be a single line` : undefined
