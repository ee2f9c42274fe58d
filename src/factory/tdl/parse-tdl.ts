/** From XML to what a template says. Every fault is found in one go, but those of the XML itself. */
import type { ReadResource } from '../../recipes/parse-recipe.ts'
import type { RecipeFault } from '../../recipes/recipe.ts'
import { checkElement, Faults } from './_check.ts'
import { checkRules } from './_check-rules.ts'
import { TEMPLATE } from './_grammar.ts'
import { includeAll } from './_include.ts'
import { readTemplate } from './_read-template.ts'
import { parseXml } from './_xml.ts'
import type { Tdl } from './tdl.ts'

export interface ParseTdlOptions {
  /** As faults name it. */
  readonly file: string
  /**
   * Files beside the template, by their path from its directory: those that it includes, and those that it names by
   * `file:` addresses. Throws an Error whose message is for the author. Left out: there are none.
   */
  readonly readResource?: ReadResource | undefined
  /** Whether `rootpw` must be there. */
  readonly requireRootPassword?: boolean | undefined
}

/** The template, or undefined when `faults` has an error. */
export function parseTdl(
  text: string,
  options: ParseTdlOptions,
): { readonly tdl: Tdl | undefined; readonly faults: readonly RecipeFault[] } {
  const faults = new Faults()
  const root = parseXml(text, options.file)
  if ('severity' in root) return { tdl: undefined, faults: [root] }
  const whole = includeAll(root, text.length, options, faults)
  if (whole === undefined) return { tdl: undefined, faults: faults.list }
  if (whole.name !== 'template' || whole.namespace !== null)
    faults.error(whole.place, `wanted <template>, found <${whole.name}>`)
  else {
    checkElement(whole, TEMPLATE, faults)
    checkRules(whole, options, faults)
  }
  const tdl = faults.some ? undefined : readTemplate(whole, options, faults)
  return { tdl: faults.some ? undefined : tdl, faults: faults.list }
}
