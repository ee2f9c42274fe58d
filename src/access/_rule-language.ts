/**
 * oslo.policy's rule language: text to tree, and back. Source: oslo.policy, "Policy Rule Expressions".
 *
 * ```
 * rule  = ""  |  or                     an empty rule allows
 * or    = and { "or" and }
 * and   = not { "and" not }
 * not   = "not" not  |  "(" or ")"  |  check
 * check = "@" | "!" | "rule:" NAME | "role:" TEMPLATE | SUBJECT ":" TEMPLATE
 * ```
 * SUBJECT is an attribute of the caller (`project_id`, `token.project.id`) or a literal (`'public'`, `True`, `7`);
 * TEMPLATE is text with `%(attribute)s` of the target in it.
 */

export type Check =
  | { readonly kind: 'always' }
  | { readonly kind: 'never' }
  | { readonly kind: 'not'; readonly check: Check }
  | { readonly kind: 'and' | 'or'; readonly checks: readonly Check[] }
  | { readonly kind: 'rule'; readonly name: string; readonly at: number }
  | { readonly kind: 'role'; readonly template: Template }
  | { readonly kind: 'literal'; readonly value: string; readonly template: Template }
  | {
      readonly kind: 'attribute'
      readonly name: string
      readonly template: Template
      readonly at: number
    }

/** Text and attributes of the target, one after the other. */
export type Template = readonly (string | { readonly attribute: string })[]

/** What is wrong with a rule, and where: characters from its beginning. */
export class RuleFault extends Error {
  readonly offset: number
  constructor(offset: number, message: string) {
    super(message)
    this.offset = offset
  }
}

const MAX_LENGTH = 16_384
const MAX_DEPTH = 100

interface Token {
  readonly text: string
  readonly at: number
}

/** Throws RuleFault. */
export function parseRule(text: string): Check {
  if (text.length > MAX_LENGTH)
    throw new RuleFault(0, `the rule has ${text.length} characters; wanted at most ${MAX_LENGTH}`)
  const tokens = tokenize(text)
  if (tokens.length === 0) return { kind: 'always' }
  return new Parser(tokens, text.length).parse()
}

/**
 * The form from before 2012, in which an outer list means "or" and inner lists mean "and". Throws RuleFault,
 * whose offset is that in the check that is wrong.
 */
export function parseLegacyRule(rule: readonly unknown[]): Check {
  if (rule.length === 0) return { kind: 'always' }
  const alternatives = rule
    .map((inner) => (Array.isArray(inner) ? (inner as unknown[]) : [inner]))
    .filter((inner) => inner.length > 0)
    .map((inner) =>
      join(
        'and',
        inner.map((check) => {
          if (typeof check !== 'string')
            throw new RuleFault(0, 'wanted a list of checks, or of lists of checks')
          return parseCheck({ text: check.trim(), at: 0 })
        }),
      ),
    )
  return alternatives.length === 0 ? { kind: 'never' } : join('or', alternatives)
}

/** As text that parses to the same tree. */
export function printRule(check: Check): string {
  switch (check.kind) {
    case 'always':
      return '@'
    case 'never':
      return '!'
    case 'rule':
      return `rule:${check.name}`
    case 'role':
      return `role:${printTemplate(check.template)}`
    case 'attribute':
      return `${check.name}:${printTemplate(check.template)}`
    case 'literal':
      return `${printLiteral(check.value)}:${printTemplate(check.template)}`
    case 'not':
      return `not ${printInner(check.check)}`
    default:
      return check.checks.map(printInner).join(` ${check.kind} `)
  }
}

function printInner(check: Check): string {
  const text = printRule(check)
  return check.kind === 'and' || check.kind === 'or' ? `(${text})` : text
}

function printTemplate(template: Template): string {
  return template
    .map((part) =>
      typeof part === 'string' ? part.replaceAll('%', '%%') : `%(${part.attribute})s`,
    )
    .join('')
}

function printLiteral(value: string): string {
  return value.includes("'") ? `"${value}"` : `'${value}'`
}

/** Parentheses stand alone only at the ends of a word: within it they belong to a template. */
function tokenize(text: string): Token[] {
  const tokens: Token[] = []
  for (const { 0: word, index } of text.matchAll(/\S+/g)) {
    const opening = /^\(*/.exec(word)![0].length
    const closing = /\)*$/.exec(word.slice(opening))![0].length
    const end = word.length - closing
    for (let i = 0; i < opening; i++) tokens.push({ text: '(', at: index + i })
    if (end > opening) tokens.push({ text: word.slice(opening, end), at: index + opening })
    for (let i = 0; i < closing; i++) tokens.push({ text: ')', at: index + end + i })
  }
  return tokens
}

class Parser {
  readonly #tokens: readonly Token[]
  readonly #end: number
  #next = 0
  #depth = 0

  constructor(tokens: readonly Token[], end: number) {
    this.#tokens = tokens
    this.#end = end
  }

  parse(): Check {
    const check = this.#or()
    const rest = this.#tokens[this.#next]
    if (rest === undefined) return check
    if (rest.text === ')') throw new RuleFault(rest.at, 'there is no ( for this )')
    throw new RuleFault(rest.at, `wanted 'and' or 'or' before '${rest.text}'`)
  }

  #takes(word: string): boolean {
    const takes = this.#tokens[this.#next]?.text.toLowerCase() === word
    if (takes) this.#next++
    return takes
  }

  #or(): Check {
    const checks = [this.#and()]
    while (this.#takes('or')) checks.push(this.#and())
    return join('or', checks)
  }

  #and(): Check {
    const checks = [this.#not()]
    while (this.#takes('and')) checks.push(this.#not())
    return join('and', checks)
  }

  #not(): Check {
    const token = this.#tokens[this.#next]
    if (token === undefined) throw new RuleFault(this.#end, 'wanted a check, found the end')
    if (++this.#depth > MAX_DEPTH)
      throw new RuleFault(token.at, `the rule is nested deeper than ${MAX_DEPTH} levels`)
    this.#next++
    const check = this.#operand(token)
    this.#depth--
    return check
  }

  #operand(token: Token): Check {
    const word = token.text.toLowerCase()
    if (word === 'not') return { kind: 'not', check: this.#not() }
    if (word === 'and' || word === 'or' || word === ')')
      throw new RuleFault(token.at, `wanted a check, found '${token.text}'`)
    if (word !== '(') return parseCheck(token)
    const check = this.#or()
    if (!this.#takes(')')) throw new RuleFault(token.at, 'there is no ) for this (')
    return check
  }
}

function join(kind: 'and' | 'or', checks: readonly Check[]): Check {
  const [only] = checks
  return checks.length === 1 && only !== undefined ? only : { kind, checks }
}

/** Source: Python's literals, of which oslo.policy takes any; those of one word can stand in a rule. */
const LITERAL = /^(?:'([^']*)'|"([^"]*)"|(True|False|None|[+-]?\d+(?:\.\d+)?))$/
const ATTRIBUTE = /^[A-Za-z_][\w-]*(?:\.[A-Za-z_][\w-]*)*$/

function parseCheck({ text, at }: Token): Check {
  if (text === '@') return { kind: 'always' }
  if (text === '!') return { kind: 'never' }
  const colon = text.indexOf(':')
  if (colon < 0) throw new RuleFault(at, `wanted KIND:VALUE, found '${text}'`)
  const subject = text.slice(0, colon)
  const rest = text.slice(colon + 1)
  if (subject === 'rule') {
    if (rest === '') throw new RuleFault(at, 'wanted the name of a rule after rule:')
    return { kind: 'rule', name: rest, at }
  }
  if (subject === 'http' || subject === 'https')
    throw new RuleFault(at, `${subject}: checks ask another server, which rules never do here`)
  const template = parseTemplate(rest, at + colon + 1)
  if (subject === 'role') return { kind: 'role', template }
  const literal = LITERAL.exec(subject)
  if (literal !== null)
    return { kind: 'literal', value: literal[1] ?? literal[2] ?? literal[3] ?? '', template }
  if (!ATTRIBUTE.test(subject))
    throw new RuleFault(at, `'${subject}' is neither an attribute of the caller nor a literal`)
  return { kind: 'attribute', name: subject, template, at }
}

function parseTemplate(text: string, at: number): Template {
  const parts: (string | { attribute: string })[] = []
  let plain = ''
  for (const { 0: piece, 1: attribute, index } of text.matchAll(/%\(([^()]+)\)s|%%|%|[^%]+/g)) {
    if (piece === '%')
      throw new RuleFault(at + index, 'wanted %(attribute)s after %; %% is a % itself')
    if (attribute === undefined) {
      plain += piece === '%%' ? '%' : piece
      continue
    }
    if (plain !== '') parts.push(plain)
    plain = ''
    parts.push({ attribute })
  }
  if (plain !== '' || parts.length === 0) parts.push(plain)
  return parts
}
