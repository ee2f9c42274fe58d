import type { Log } from '../base/log.ts'
import { Failure } from '../base/failure.ts'
import { readTdl } from '../factory/tdl/read-tdl.ts'
import { parseTargetContent, type TargetContent } from '../factory/tdl/target-content.ts'
import { formatFault } from '../recipes/read-recipe.ts'

/** What the operator puts into target images. Fails with CONFIG_INVALID (every fault and where), FILE_NOT_FOUND, FILE_UNREADABLE. */
export async function readTargetContent(
  file: string | undefined,
  log: Pick<Log, 'warn'>,
): Promise<TargetContent> {
  if (file === undefined) return []
  const text = await readTdl(file)
  const { content, faults } =
    typeof text === 'string'
      ? parseTargetContent(text, file)
      : { content: undefined, faults: [text] }
  const errors = faults.filter(({ severity }) => severity === 'error')
  if (content === undefined)
    throw new Failure(
      'CONFIG_INVALID',
      `factory.target_content: ${errors.map(formatFault).join('\n')}`,
      { details: { faults: errors } },
    )
  for (const fault of faults) log.warn('factory.target-content', { told: formatFault(fault) })
  return content
}
