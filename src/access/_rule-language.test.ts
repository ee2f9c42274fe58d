import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  array,
  assert as check,
  constantFrom,
  letrec,
  oneof,
  property,
  record,
  constant,
  string,
  stringMatching,
  tuple,
} from 'fast-check'
import { type Check, parseLegacyRule, parseRule, printRule, RuleFault } from './_rule-language.ts'

/** What a rule means, whichever way it is put. */
function meaning(text: string): string {
  return printRule(parseRule(text))
}

function legacy(rule: unknown[]): string {
  return printRule(parseLegacyRule(rule))
}

function faultOf(text: string): { offset: number; message: string } {
  try {
    parseRule(text)
  } catch (error) {
    if (error instanceof RuleFault) return { offset: error.offset, message: error.message }
    throw error
  }
  throw new Error(`${text} is a rule`)
}

/** Where a check began is no part of what it means. */
function withoutPlaces(rule: Check): unknown {
  return JSON.parse(
    JSON.stringify(rule, (key, value: unknown) => (key === 'at' ? undefined : value)),
  )
}

const name = stringMatching(/^[a-z_][a-z0-9_]{0,8}$/).filter(
  (word) => !['rule', 'role', 'http', 'https', 'and', 'or', 'not'].includes(word),
)
const plain = stringMatching(/^[A-Za-z0-9_./%-]{1,8}$/)
const template = tuple(
  array(plain, { maxLength: 1 }),
  array(
    name.map((attribute) => ({ attribute })),
    { minLength: 1, maxLength: 1 },
  ),
).map(([texts, attributes]) => [...texts, ...attributes])
const leaf = oneof(
  constant<Check>({ kind: 'always' }),
  constant<Check>({ kind: 'never' }),
  name.map((text): Check => ({ kind: 'rule', name: text, at: 0 })),
  template.map((text): Check => ({ kind: 'role', template: text })),
  record({ name, template }).map((parts): Check => ({ kind: 'attribute', at: 0, ...parts })),
  record({
    value: stringMatching(/^[A-Za-z0-9_-]{0,8}$/),
    template,
  }).map((parts): Check => ({ kind: 'literal', ...parts })),
)
const { tree } = letrec<{ tree: Check }>((tie) => ({
  tree: oneof(
    { maxDepth: 4 },
    leaf,
    tie('tree').map((one): Check => ({ kind: 'not', check: one })),
    record({
      kind: constantFrom('and' as const, 'or' as const),
      checks: array(tie('tree'), { minLength: 2, maxLength: 3 }),
    }),
  ),
}))

describe('a rule', () => {
  it('allows everything when nothing stands there, or @, and nothing with !', () => {
    assert.deepEqual(parseRule(''), { kind: 'always' })
    assert.deepEqual(parseRule('  \n'), { kind: 'always' })
    assert.deepEqual(parseRule('@'), { kind: 'always' })
    assert.deepEqual(parseRule('!'), { kind: 'never' })
  })

  it('binds not before and, and before or, whatever the case of the words', () => {
    assert.equal(meaning('@ or ! and not role:a'), '@ or (! and not role:a)')
    assert.equal(meaning('@ AND ! Or NOT not role:a'), '(@ and !) or not not role:a')
    assert.equal(meaning('(@ or !) and @'), '(@ or !) and @')
    assert.equal(meaning('not (role:a or role:b) and @'), 'not (role:a or role:b) and @')
  })

  it('tells parentheses of the rule from those of a template', () => {
    const wanted = "role:member and (project_id:%(project_id)s or 'public':%(visibility)s)"
    assert.equal(meaning(wanted), wanted)
    assert.equal(meaning('((project_id:%(owner)s))'), 'project_id:%(owner)s')
  })

  it('takes literals of either quote, numbers, True, False and None', () => {
    assert.equal(meaning('"public":%(visibility)s'), "'public':%(visibility)s")
    assert.equal(meaning('True:%(protected)s'), "'True':%(protected)s")
    assert.equal(meaning('None:%(owner)s'), "'None':%(owner)s")
    assert.equal(meaning('7:%(min_disk)s'), "'7':%(min_disk)s")
  })

  it('takes attributes of attributes, and text around those of the target', () => {
    assert.equal(meaning('token.project.id:%(a.b)s'), 'token.project.id:%(a.b)s')
    assert.equal(meaning('project_id:x-%(owner)s-100%%'), 'project_id:x-%(owner)s-100%%')
    assert.equal(meaning('role:compute:admin'), 'role:compute:admin')
  })

  it('may be written in the old lists: the outer means or, the inner and', () => {
    assert.equal(legacy([]), '@')
    assert.equal(legacy([[]]), '!')
    assert.equal(legacy(['role:admin', 'role:boss']), 'role:admin or role:boss')
    assert.equal(
      legacy([['role:admin'], ['role:a', 'rule:b']]),
      'role:admin or (role:a and rule:b)',
    )
    assert.throws(() => legacy([[7]]), RuleFault)
  })

  it('says what is wrong with it, and where', () => {
    const faults: Record<string, [offset: number, message: RegExp]> = {
      'role:a and': [10, /found the end/],
      'and role:a': [0, /found 'and'/],
      'role:a role:b': [7, /'and' or 'or' before 'role:b'/],
      '(role:a or role:b': [0, /no \) for this/],
      'role:a or role:b)': [16, /no \( for this/],
      'role:a and ()': [12, /found '\)'/],
      'role:a or admin': [10, /KIND:VALUE, found 'admin'/],
      'role:a or rule:': [10, /name of a rule/],
      'http://example.org/': [0, /ask another server/],
      'project_id:%(owner': [11, /%\(attribute\)s/],
      'project_id:%(owner)d': [11, /%\(attribute\)s/],
      "role:a or 'x:%(y)s": [10, /neither an attribute/],
    }
    for (const [text, [offset, message]] of Object.entries(faults)) {
      const fault = faultOf(text)
      assert.match(fault.message, message, text)
      assert.equal(fault.offset, offset, text)
    }
  })

  it('is bounded in length and depth', () => {
    assert.match(faultOf('role:a or '.repeat(2000)).message, /at most 16384/)
    assert.match(faultOf(`${'('.repeat(200)}@${')'.repeat(200)}`).message, /nested deeper/)
    assert.match(faultOf(`${'not '.repeat(200)}@`).message, /nested deeper/)
  })

  it('means the same when it is printed and read again', () => {
    check(
      property(tree, (rule) => {
        assert.deepEqual(withoutPlaces(parseRule(printRule(rule))), withoutPlaces(rule))
      }),
    )
  })

  it('is read or refused, never anything else, whatever the text', () => {
    const words = constantFrom(
      '(',
      ')',
      'and',
      'or',
      'not',
      '@',
      '!',
      'role:a',
      'a:%(b)s',
      '%',
      ' ',
    )
    const text = oneof(
      string(),
      array(words).map((all) => all.join(' ')),
      array(words).map((all) => all.join('')),
    )
    check(
      property(text, (rule) => {
        try {
          parseRule(rule)
        } catch (error) {
          assert.ok(error instanceof RuleFault)
          assert.ok(error.offset >= 0 && error.offset <= rule.length)
        }
      }),
    )
  })
})
