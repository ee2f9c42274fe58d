/**
 * Conditions of `when:`: expressions of the Common Expression Language (CEL) over the recipe's
 * arguments and the guest's facts. CEL has no loops, no input or output and no way to run code.
 *
 *     when: args.java == 'openjdk' && facts.distro in ['debian', 'ubuntu']
 */
import { Environment, type ParseResult } from '@marcbachmann/cel-js'
import { Failure, messageOf } from '../base/failure.ts'
import type { Facts } from '../remotes/facts.ts'
import { didYouMean } from '../schema/find-faults.ts'
import type { ArgumentValues } from './argument-values.ts'

export interface Condition {
  /** As written. */
  text: string
  /** Names of arguments that it looks at. */
  uses: readonly string[]
  /** Fails with ARGUMENT_INVALID when it asks for an argument that has no value. */
  holds(args: ArgumentValues, facts: Facts, place: 'image' | 'host'): boolean
}

/** Facts that a condition or a template may ask for. */
const FACT_NAMES: readonly string[] = ['distro', 'family', 'version', 'codename', 'architecture']

const environment = new Environment({
  unlistedVariablesAreDyn: false,
  limits: { maxAstNodes: 500, maxDepth: 50 },
})
  .registerVariable('args', 'map<string, string>')
  .registerVariable('facts', 'map<string, string>')
  .registerVariable('place', 'string')

/** A node of CEL's syntax tree, as far as we look at it. */
interface Ast {
  op?: unknown
  args?: unknown
}

/**
 * Throws an Error whose message says what is wrong with the expression. What comes out takes little
 * time whatever it is given: no patterns, no loops in loops in loops.
 */
export function parseCondition(text: string): Condition {
  let program: ParseResult
  try {
    program = environment.parse(text)
  } catch (error) {
    throw new Error(`the condition cannot be read: ${firstLine(messageOf(error))}`, {
      cause: error,
    })
  }
  const uses = lookInto(program.ast)
  const check = program.check()
  if (!check.valid) {
    const dashed = /\bargs\.([\w.]+-[\w.-]+)/.exec(text)?.[1]
    throw new Error(
      `the condition is wrong: ${firstLine(messageOf(check.error))}; ${dashed === undefined ? 'it may use args.NAME, facts.NAME and place' : `a name with a dash is written args['${dashed}']`}`,
    )
  }
  if (check.type !== 'bool')
    throw new Error(
      `the condition gives a ${check.type}; wanted true or false, such as args.name == 'value'`,
    )
  return {
    text,
    uses,
    holds: (args, facts, place) => {
      try {
        const names = { args: Object.fromEntries(args.entries()), facts: factTexts(facts), place }
        return program(names) === true
      } catch (error) {
        throw new Failure(
          'ARGUMENT_INVALID',
          `the condition '${text}' cannot be answered: ${firstLine(messageOf(error))}`,
          { cause: error },
        )
      }
    },
  }
}

/** Facts as texts, as conditions and templates see them. */
export function factTexts(facts: Facts): Record<string, string> {
  const { distro, family, version, codename, architecture } = facts
  return { distro, family: family ?? '', version, codename, architecture }
}

/** What CEL's macros run over lists and maps. */
const LOOPS: readonly unknown[] = ['all', 'exists', 'exists_one', 'map', 'filter']

/** The arguments that an expression looks at. Throws an Error for what conditions cannot have. */
function lookInto(ast: Ast): string[] {
  const uses: string[] = []
  const look = (node: Ast, loops: number) => {
    const parts = (Array.isArray(node.args) ? node.args : [node.args]) as unknown[]
    const called = node.op === 'call' || node.op === 'rcall' ? parts[0] : undefined
    if (called === 'matches')
      throw new Error(
        'conditions have no `matches`, since a pattern may take for ever; use contains, startsWith, endsWith or in',
      )
    const inner = LOOPS.includes(called) ? loops + 1 : loops
    if (inner > 2) throw new Error('the condition has a loop in a loop in a loop')
    const [of, member] = memberOf(node) ?? []
    if (of === 'args' && member !== undefined) uses.push(member)
    if (of === 'facts' && member !== undefined && !FACT_NAMES.includes(member))
      throw new Error(
        `the condition asks for facts.${member}${didYouMean(member, FACT_NAMES) || `; there are ${FACT_NAMES.join(', ')}`}`,
      )
    for (const part of parts.flat()) if (isAst(part)) look(part, inner)
  }
  look(ast, 0)
  return uses
}

/** `args` and `NAME` of `args.NAME` and of `args['NAME']`. */
function memberOf(node: Ast): [of: string, member: string] | undefined {
  if ((node.op !== '.' && node.op !== '[]') || !Array.isArray(node.args)) return undefined
  const [of, key] = node.args as [unknown, unknown]
  const member = isAst(key) && key.op === 'value' ? key.args : key
  return isAst(of) && of.op === 'id' && typeof of.args === 'string' && typeof member === 'string'
    ? [of.args, member]
    : undefined
}

function isAst(value: unknown): value is Ast {
  return typeof value === 'object' && value !== null && 'op' in value
}

function firstLine(message: string): string {
  return message.split('\n')[0] ?? message
}
