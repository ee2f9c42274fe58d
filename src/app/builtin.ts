/** Every built-in part of Ingot, in the order in which docs list them. The first plugin, so to say. */
import type { Validator } from '../recipes/validator.ts'
import { group, user } from '../recipes/validators/accounts.ts'
import { argumentSet } from '../recipes/validators/argument-set.ts'
import { authorizedKey } from '../recipes/validators/authorized-key.ts'
import { all, any, argumentCase, osCase } from '../recipes/validators/branches.ts'
import { command } from '../recipes/validators/command.ts'
import { download } from '../recipes/validators/download.ts'
import { directory, file } from '../recipes/validators/files.ts'
import { hostname, locale, timezone } from '../recipes/validators/identity.ts'
import { kernelArgument } from '../recipes/validators/kernel-argument.ts'
import { line } from '../recipes/validators/line.ts'
import { packageValidator } from '../recipes/validators/package.ts'
import { repository } from '../recipes/validators/repository.ts'
import { copyScript, script } from '../recipes/validators/scripts.ts'
import { service } from '../recipes/validators/service.ts'
import { sysctl } from '../recipes/validators/sysctl.ts'

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

  file,
  directory,
  line,
  user,
  group,
  authorizedKey,
  service,
  repository,
  download,
  command,
  hostname,
  timezone,
  locale,
  sysctl,
  kernelArgument,
]

/** Validators by the name that recipes call them. */
export function validatorMap(
  validators: readonly Validator[] = builtinValidators,
): ReadonlyMap<string, Validator> {
  return new Map(validators.map((validator) => [validator.name, validator]))
}
