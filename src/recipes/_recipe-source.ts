import { createHash } from 'node:crypto'
import type { TSchema } from 'typebox'
import { findFaults, type Path } from '../schema/find-faults.ts'
import { fitTexts } from '../schema/fit-texts.ts'
import { parseYaml, type YamlDocument } from './_yaml.ts'
import type { Place, RecipeFault } from './recipe.ts'

/** A recipe's text while it is made sense of: its values, its digest, and all that is wrong with it. */
export class RecipeSource {
  readonly #yaml: YamlDocument
  readonly #digest = createHash('sha256')

  constructor(text: string, file: string) {
    this.#yaml = parseYaml(text, file)
    this.#digest.update(text)
  }

  /** The document as plain values; undefined if there is nothing to be made of it. */
  get root(): unknown {
    return this.#yaml.value
  }

  /** Everything found so far, in the order in which it stands in the file. */
  get faults(): readonly RecipeFault[] {
    return this.#yaml.faults.toSorted(
      (a, b) => a.place.line - b.place.line || a.place.column - b.place.column,
    )
  }

  hasErrors(): boolean {
    return this.#yaml.faults.some(({ severity }) => severity === 'error')
  }

  /** Says that the value at a path, or with `atKey` its key, is wrong. */
  fault(path: Path, message: string, atKey = false): void {
    this.#yaml.faults.push({ severity: 'error', place: this.placeOf(path, atKey), message })
  }

  /** Says that the author should look at the value at a path. */
  warn(path: Path, message: string, atKey = false): void {
    this.#yaml.faults.push({ severity: 'warning', place: this.placeOf(path, atKey), message })
  }

  placeOf(path: Path, atKey = false): Place {
    return this.#yaml.placeOf(path, atKey)
  }

  /** The value fitted to the schema, or undefined after its faults have been said. */
  shaped<Shaped>(schema: TSchema, value: unknown, path: Path): Shaped | undefined {
    const fitted = fitTexts(schema, value, (below) => this.#yaml.sourceOf([...path, ...below]))
    const faults = findFaults(schema, fitted)
    for (const fault of faults) this.fault([...path, ...fault.path], fault.message, fault.atKey)
    return faults.length === 0 ? (fitted as Shaped) : undefined
  }

  /** Makes a file that the recipe names part of its digest. */
  addFile(name: string, content: Uint8Array): void {
    this.#digest.update(`\0${name}\0`).update(content)
  }

  /** SHA-256 of the text and of every file that was added, hexadecimal. */
  digest(): string {
    return this.#digest.copy().digest('hex')
  }
}

/** What stands there, for messages: `a list`. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return 'nothing'
  if (Array.isArray(value)) return 'a list'
  return typeof value === 'object' ? 'a mapping' : 'a single value'
}

export function isMapping(value: unknown): value is Record<string, unknown> {
  return kindOf(value) === 'a mapping'
}
