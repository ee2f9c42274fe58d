import { type FailureCode, isFailure } from '../base/failure.ts'

/** For `assert.rejects` and `assert.throws`: a Failure, of this code and with such a message if they are given. */
export function failsWith(code?: FailureCode, message?: RegExp): (error: unknown) => boolean {
  return (error) => isFailure(error, code) && (message?.test(error.message) ?? true)
}
