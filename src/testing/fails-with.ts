import { type FailureCode, isFailure } from '../base/failure.ts'

/** For `assert.rejects` and `assert.throws`: a Failure, of this code if one is given. */
export function failsWith(code?: FailureCode): (error: unknown) => boolean {
  return (error) => isFailure(error, code)
}
