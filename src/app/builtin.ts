/** Every built-in part, in the order of the documentation. The built-ins are just the first plugin. */
import type { Validator } from '../recipes/validator.ts'
import { argumentSet } from '../recipes/validators/argument-set.ts'
import { all, any, argumentCase, osCase } from '../recipes/validators/branches.ts'
import { copyScript, script } from '../recipes/validators/scripts.ts'

const validators: readonly Validator[] = [
  script,
  copyScript,
  any,
  all,
  osCase,
  argumentCase,
  argumentSet,
]

/** Validators by name. */
export const builtinValidators: ReadonlyMap<string, Validator> = new Map(
  validators.map((validator) => [validator.name, validator]),
)
