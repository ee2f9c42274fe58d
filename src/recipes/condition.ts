/**
 * Conditions of `when:`: expressions of the Common Expression Language (CEL) over the recipe's
 * arguments and the guest's facts. CEL has no loops, no input or output and no way to run code.
 *
 *     when: args.java == 'openjdk' && facts.distro in ['debian', 'ubuntu']
 */
import { Environment, type ParseResult } from '@marcbachmann/cel-js'
import { messageOf } from '../base/failure.ts'
import type { Facts } from '../remotes/facts.ts'
import type { ArgumentValues } from './argument-values.ts'

export interface Condition {
  /** As written. */
  text: string
  /** Names of arguments that it looks at. */
  uses: readonly string[]
  holds(args: ArgumentValues, facts: Facts, place: 'image' | 'host'): boolean
}

/** Facts that a condition or a template may ask for. */
export const FACT_NAMES: readonly string[] = [
  'distro',
  'family',
  'version',
  'codename',
  'architecture',
]

const environment = new Environment({
  unlistedVariablesAreDyn: false,
  limits: { maxAstNodes: 500, maxDepth: 50 },
})
  .registerVariable('args', 'map<string, string>')
  .registerVariable('facts', 'map<string, string>')
  .registerVariable('place', 'string')

interface Ast {
  op?: unknown
  args?: unknown
}

/** Throws an Error whose message says what is wrong with the expression. */
export function parseCondition(text: string): Condition {
  let program: ParseResult
  try {
    program = environment.parse(text)
  } catch (error) {
    throw new Error(`the condition cannot be read: ${firstLine(messageOf(error))}`, {
      cause: error,
    })
  }
  const check = program.check()
  if (!check.valid)
    throw new Error(
      `the condition is wrong: ${firstLine(messageOf(check.error))}; it may use args.NAME, facts.NAME and place`,
    )
  if (check.type !== 'bool')
    throw new Error(
      `the condition gives a ${check.type}; wanted true or false, such as args.name == 'value'`,
    )
  const uses: string[] = []
  collectMembers(program.ast, (of, member) => {
    if (of === 'args') uses.push(member)
    else if (of === 'facts' && !FACT_NAMES.includes(member))
      throw new Error(`the condition asks for facts.${member}; there are ${FACT_NAMES.join(', ')}`)
  })
  return {
    text,
    uses,
    holds: (args, facts, place) =>
      program({ args: Object.fromEntries(args.entries()), facts: factTexts(facts), place }) ===
      true,
  }
}

/** Facts as texts, as conditions and templates see them. */
export function factTexts(facts: Facts): Record<string, string> {
  const { distro, family, version, codename, architecture } = facts
  return { distro, family: family ?? '', version, codename, architecture }
}

/** Calls back for every `args.NAME`, `facts.NAME` and `args['NAME']`. */
function collectMembers(node: Ast, found: (of: string, member: string) => void): void {
  const parts = Array.isArray(node.args) ? (node.args as unknown[]) : [node.args]
  const [of, member] = parts as [Ast | undefined, unknown]
  if ((node.op === '.' || node.op === '[]') && of?.op === 'id' && typeof of.args === 'string') {
    const name =
      typeof member === 'string'
        ? member
        : (member as Ast | undefined)?.op === 'value'
          ? (member as Ast).args
          : undefined
    if (typeof name === 'string') found(of.args, name)
  }
  for (const part of parts.flat())
    if (typeof part === 'object' && part !== null && 'op' in part) collectMembers(part, found)
}

function firstLine(message: string): string {
  return message.split('\n')[0] ?? message
}
