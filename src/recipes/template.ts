/**
 * Templates: texts with `{{ argument }}` in them, in the Liquid language, which runs no code. A
 * template sees the recipe's arguments by name and the guest's facts as `facts.distro`, … It can
 * read no files (`include` finds nothing), and its work, memory and size are bounded.
 */
import { Liquid, type Template as LiquidTemplate } from 'liquidjs'
import { Failure, messageOf } from '../base/failure.ts'
import { MiB } from '../base/units.ts'
import type { Facts } from '../remotes/facts.ts'
import type { ArgumentValues } from './argument-values.ts'
import { factTexts } from './condition.ts'

const engine = new Liquid({
  templates: {},
  ownPropertyOnly: true,
  strictVariables: true,
  strictFilters: true,
  parseLimit: 4 * MiB,
  renderLimit: 2000,
  memoryLimit: 32 * MiB,
})

export interface Template {
  /** Names of arguments that it uses. */
  uses: readonly string[]
  /** Fails with ARGUMENT_INVALID when it uses something that has no value. */
  render(args: ArgumentValues, facts: Facts): string
}

/** Throws an Error whose message says what is wrong with the template. */
export function parseTemplate(text: string): Template {
  let parsed: LiquidTemplate[]
  try {
    parsed = engine.parse(text)
  } catch (error) {
    throw new Error(`the template cannot be read: ${messageOf(error)}`, { cause: error })
  }
  const uses = engine.globalVariablesSync(parsed).filter((name) => name !== 'facts')
  return {
    uses,
    render: (args, facts) => {
      try {
        return String(
          engine.renderSync(parsed, {
            ...Object.fromEntries(args.entries()),
            facts: factTexts(facts),
          }),
        )
      } catch (error) {
        throw new Failure(
          'ARGUMENT_INVALID',
          `a template cannot be filled in: ${messageOf(error)}`,
          { cause: error },
        )
      }
    },
  }
}

/** Names of arguments that these texts use; a text that cannot be read uses none. */
export function argumentsIn(texts: readonly string[]): string[] {
  return texts.filter(isTemplate).flatMap((text) => {
    try {
      return parseTemplate(text).uses
    } catch {
      return [] // said where all templates are checked
    }
  })
}

/** A template that comes out as this text, whatever stands in it. */
export function asLiteral(text: string): string {
  return text.replaceAll(/\{[{%]/g, (mark) => `{{ '${mark}' }}`)
}

/** Whether a text has anything to fill in. */
export function isTemplate(text: string): boolean {
  return text.includes('{{') || text.includes('{%')
}

/** Fills in every text within `value`, except below the keys named in `verbatim`. */
export function renderTexts(
  value: unknown,
  verbatim: readonly string[],
  render: (text: string) => string,
): unknown {
  if (typeof value === 'string') return isTemplate(value) ? render(value) : value
  if (Array.isArray(value)) return value.map((item) => renderTexts(item, verbatim, render))
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [
      key,
      verbatim.includes(key) ? member : renderTexts(member, verbatim, render),
    ]),
  )
}
