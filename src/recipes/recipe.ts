/**
 * Recipes: one declaration of a guest's state that packs, validates and provisions. This file is
 * what a recipe is once it has been read; `parse-recipe.ts` makes it from YAML, `run-recipe.ts`
 * carries it out on a remote, `validator.ts` is the contract of its steps. Who asks, and on what
 * remote, is the caller's matter.
 */
import type { BaseKey, DiskKey } from './base-schema.ts'
import type { Condition } from './condition.ts'
import type { Validator } from './validator.ts'

/** A spot in a recipe file; line and column count from 1. */
export interface Place {
  file: string
  line: number
  column: number
}

/** Something wrong with a recipe, or (`warning`) something its author should look at. */
export interface RecipeFault {
  severity: 'error' | 'warning'
  place: Place
  message: string
}

/** A named input of a recipe. Values are texts. */
export interface Argument {
  name: string
  /** Name of the environment variable scripts get: `target_variable`, else made from the name. */
  variable: string
  description: string
  default: string | undefined
  required: boolean
  choices: readonly string[] | undefined
  secret: boolean
  place: Place
}

/** One validator of a recipe, ready to run. */
export interface Step {
  /** Where it stands: `validators[2].os_case.debian[0]`. Unique in the recipe. */
  id: string
  validator: Validator
  options: unknown
  /** Short and readable: the recipe's `name` for it, else what the validator says. */
  title: string
  when: Condition | undefined
  /** Only in an image, or only on a running host. */
  on: 'image' | 'host' | undefined
  place: Place
}

export interface Recipe {
  file: string
  /** Files that steps name are looked for in these, in order. */
  resourceRoots: readonly string[]
  name: string
  description: string
  args: readonly Argument[]
  steps: readonly Step[]
  /** Checked only, never applied: by `validate` and on the machine that a boot test started. */
  tests: readonly Step[]
  /** How `build` makes the operating system; options of an OS builder. */
  base: BaseKey | undefined
  /** Size and layout of the disk that `build` makes. */
  disk: DiskKey | undefined
  clean: Clean | undefined
  warnings: readonly RecipeFault[]
  /** SHA-256 of the recipe's text and of every file it uses, hexadecimal. */
  digest: string
}

/** What the clean-up at the end leaves alone. */
export interface Clean {
  enabled: boolean
  keep: readonly string[]
  /** Tasks that are off by themselves and are done all the same. */
  also: readonly string[]
}
