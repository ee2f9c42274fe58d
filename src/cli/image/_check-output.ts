import { stat } from 'node:fs/promises'
import { Failure } from '../../base/failure.ts'

/** Fails with USAGE when something is there that is not to be replaced, or cannot be. */
export async function checkOutput(path: string, force: boolean): Promise<void> {
  const there = await stat(path).catch(() => undefined)
  if (there === undefined) return
  if (!there.isFile())
    throw new Failure('USAGE', `${path} is no regular file`, {
      fix: 'Write to standard output with --output -, and send that where you want it.',
    })
  if (!force)
    throw new Failure('USAGE', `${path} is there already`, { fix: 'Say --force to replace it.' })
}
