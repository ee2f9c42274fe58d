/**
 * The values of a recipe's arguments during one run: declared ones first, in order, then those
 * that `argument_set` or a script's `output` made.
 */
import { Failure } from '../base/failure.ts'
import { didYouMean } from '../schema/find-faults.ts'
import type { Argument } from './recipe.ts'

/** Given to every step by Ingot, so no recipe may declare them. Source: Sahara `plugins/images.py`. */
export const RESERVED_ARGUMENTS: readonly string[] = ['distro', 'test_only']

/** Secrets of one or two characters are not looked for: they are everywhere. */
const MIN_MASKED = 3

export class ArgumentValues {
  readonly #values = new Map<string, string>()
  readonly #variables = new Map<string, string>()
  readonly #secrets = new Set<string>()
  /** Every text that has been a secret's value in this run, longest first. */
  #secretTexts: readonly string[] = []

  /** The value, or undefined when nothing of this name was declared or set. */
  get(name: string): string | undefined {
    return this.#values.get(name)
  }

  set(name: string, value: string): void {
    this.#values.set(name, value)
    if (!this.#secrets.has(name)) return
    const texts = new Set([...this.#secretTexts, value, ...value.split(/\r?\n/)])
    this.#secretTexts = [...texts]
      .filter((text) => text.length >= MIN_MASKED)
      .sort((a, b) => b.length - a.length)
  }

  declare(argument: Argument, value: string): void {
    this.#variables.set(argument.name, argument.variable)
    if (argument.secret) this.#secrets.add(argument.name)
    this.set(argument.name, value)
  }

  entries(): IterableIterator<[string, string]> {
    return this.#values.entries()
  }

  /** Name of the environment variable that carries an argument to scripts. */
  variableOf(name: string): string {
    return this.#variables.get(name) ?? toVariable(name)
  }

  /** Values with secrets as `***`. */
  masked(): Record<string, string> {
    return Object.fromEntries(
      [...this.#values].map(([name, value]) => [name, this.#secrets.has(name) ? '***' : value]),
    )
  }

  /** `text` with every secret value in it replaced. */
  mask(text: string): string {
    let masked = text
    for (const secret of this.#secretTexts) masked = masked.replaceAll(secret, '***')
    return masked
  }
}

/** The variable an argument is called by in scripts when the recipe names none: `java-distro` → `java_distro`. */
export function toVariable(name: string): string {
  return name.replaceAll(/[^A-Za-z0-9_]/g, '_').replace(/^(?=\d)/, '_')
}

/**
 * The values for a run: what the caller gave, else the default. All that is wrong is said at once.
 * Fails with ARGUMENT_INVALID: a required one without value, a value that is none of the choices, a
 * name that the recipe does not declare.
 */
export function resolveArguments(
  declared: readonly Argument[],
  given: ReadonlyMap<string, string>,
): ArgumentValues {
  const faults: string[] = []
  const values = new ArgumentValues()
  const names = declared.map((argument) => argument.name)
  for (const name of given.keys())
    if (!names.includes(name))
      faults.push(
        `the recipe has no argument '${name}'${didYouMean(name, names) || (names.length > 0 ? `; it has ${names.join(', ')}` : '; it has none')}`,
      )
  for (const argument of declared) {
    const value = given.get(argument.name) ?? (argument.required ? undefined : argument.default)
    if (value === undefined) {
      faults.push(
        `argument '${argument.name}' is required${argument.description ? ` (${argument.description})` : ''}`,
      )
      continue
    }
    if (argument.choices && !argument.choices.includes(value))
      faults.push(
        `argument '${argument.name}' must be one of ${argument.choices.join(', ')}; found ${argument.secret ? 'something else' : `'${value}'${didYouMean(value, argument.choices)}`}`,
      )
    if (value.includes('\0')) faults.push(`argument '${argument.name}' holds a NUL byte`)
    values.declare(argument, value)
  }
  if (faults.length > 0)
    throw new Failure('ARGUMENT_INVALID', faults.join('\n'), { details: { faults } })
  return values
}
