import { Failure, systemCode } from '../../base/failure.ts'
import type { Mask } from './_mask.ts'

/** Without secrets, whatever was thrown. */
export function maskedError(thrown: unknown, mask: Mask): Error {
  const error = noSpace(thrown) ?? thrown
  if (error instanceof Failure) {
    const { code, fix } = error
    return new Failure(code, mask.apply(error.message), {
      details: mask.applyTo(error.details),
      ...(fix !== undefined && { fix: mask.apply(fix) }),
    })
  }
  const plain = new Error(mask.apply(error instanceof Error ? error.message : String(error)))
  if (error instanceof Error && error.stack) plain.stack = mask.apply(error.stack)
  return plain
}

/** That the disk is full is nobody's mistake in the code. */
function noSpace(error: unknown): Failure | undefined {
  const code = systemCode(error)
  if (code !== 'ENOSPC' && code !== 'EDQUOT') return undefined
  return new Failure('NO_SPACE', 'no space is left where this server works on disks', {
    cause: error,
    fix: 'Make room in factory.work_dir and in the stores, then begin again.',
  })
}
