/** What is wrong with recipes and templates, for people and for programs. */
import { EXIT } from '../base/failures.ts'
import { formatFault } from '../recipes/read-recipe.ts'
import type { RecipeFault } from '../recipes/recipe.ts'
import type { Cli } from './cli.ts'

/** Prints faults and how many there are; the exit code. With `strict`, warnings count as errors. */
export function tellFaults(
  cli: Cli,
  files: readonly string[],
  faults: readonly RecipeFault[],
  strict = false,
): number {
  const errors = faults.filter(({ severity }) => severity === 'error').length
  if (cli.json) cli.print(JSON.stringify({ files, faults }))
  else if (faults.length > 0) cli.print(faults.map(formatFault).join('\n'))
  const warnings = faults.length - errors
  cli.say(
    faults.length === 0
      ? `${files.join(', ')}: no faults`
      : `${errors} error${errors === 1 ? '' : 's'}, ${warnings} warning${warnings === 1 ? '' : 's'}`,
  )
  return errors > 0 || (strict && warnings > 0) ? EXIT.wrongUse : EXIT.done
}
