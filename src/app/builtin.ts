/** Every built-in part of Ingot, in the order in which docs list them. The first plugin, so to say. */
import type { Validator } from '../recipes/validator.ts'
import { argumentSet } from '../recipes/validators/argument-set.ts'
import { all, any, argumentCase, osCase } from '../recipes/validators/branches.ts'
import { packageValidator } from '../recipes/validators/package.ts'
import { copyScript, script } from '../recipes/validators/scripts.ts'

/** Sahara's eight, then Ingot's own. */
export const builtinValidators: readonly Validator[] = [
  packageValidator,
  script,
  copyScript,
  any,
  all,
  osCase,
  argumentCase,
  argumentSet,
]

/** Validators by the name that recipes call them. */
export function validatorMap(
  validators: readonly Validator[] = builtinValidators,
): ReadonlyMap<string, Validator> {
  return new Map(validators.map((validator) => [validator.name, validator]))
}
