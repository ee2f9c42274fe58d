import type { AnswerKind } from '../install-systems.ts'
import type { AnswerInput } from './answer-input.ts'
import { makeAutoinstall } from './autoinstall.ts'
import { makeAutoyast } from './autoyast.ts'
import { makeKickstart } from './kickstart.ts'
import { makePreseed } from './preseed.ts'
import { makeUnattend } from './unattend.ts'

const MAKERS: Readonly<Record<AnswerKind, (input: AnswerInput) => string>> = {
  preseed: makePreseed,
  kickstart: makeKickstart,
  autoinstall: makeAutoinstall,
  autoyast: makeAutoyast,
  unattend: makeUnattend,
}

/** Ingot's own answer file: one partitioned disk, a root password, sshd, and power off. */
export function makeStockAnswer(kind: AnswerKind, input: AnswerInput): string {
  return MAKERS[kind](input)
}
