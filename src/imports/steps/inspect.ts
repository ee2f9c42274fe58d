import { Type } from '../../schema/type.ts'
import type { ByteStep } from '../step.ts'

/** Refuses unsafe or wrongly declared data. Nothing is taken in without it, so that it has nothing to wish for. */
export const inspect: ByteStep<unknown> = {
  on: 'bytes',
  name: 'inspect',
  summary: 'refuses unsafe or wrongly declared data; always on',
  options: Type.Object({}),
  wish: () => ({}),
}
