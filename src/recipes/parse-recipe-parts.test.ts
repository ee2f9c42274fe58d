import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { errorsOf, QUIET_SCRIPT, warningsOf } from '../testing/recipe-text.ts'

/** The errors of one step. */
const stepErrors = (step: string, resources?: Record<string, string>) =>
  errorsOf(`validators:\n${step}\n`, resources)
/** The errors of arguments. */
const argument = (yaml: string) => errorsOf(`arguments:\n${yaml}\nvalidators: []\n`)
/** The errors of a condition. */
const when = (text: string) => stepErrors(`  - package: a\n    when: "${text}"`)[0] ?? ''
/** A recipe that passes an argument of this name to a script. */
const passing = (name: string) => `
arguments: {java_version: {default: x}}
validators:
  - script: {s: {env_vars: [java_version, ${name}, distro, test_only], output: made}}
  - script: {s: {env_vars: [made]}}
`

describe('the arguments of a recipe', () => {
  it('are a mapping, not a list', () => {
    assert.deepEqual(argument('  - a: {default: x}'), [
      '2:3: wanted a mapping of names, found a list; write each as `name: {…}` without the dash',
    ])
  })

  it('have each name once', () => {
    assert.deepEqual(argument('  a: {default: x}\n  a: {default: y}'), [
      "3:3: the key 'a' stands twice in this mapping; the first is on line 2",
    ])
  })

  it('have names that become variables of their own', () => {
    assert.deepEqual(argument('  a-b: {default: x}\n  a_b: {default: y}'), [
      "3:3: 'a_b' and 'a-b' share the variable a_b; give one another target_variable",
    ])
    assert.deepEqual(argument('  a-b: {default: x}\n  a_b: {default: y, target_variable: AB}'), [])
  })

  it('have no name or variable that Ingot gives', () => {
    for (const name of ['distro', 'test_only'])
      assert.deepEqual(argument(`  ${name}: {default: x}`), [
        `2:3: '${name}' is given to every step by Ingot, so no argument may have its name`,
      ])
    assert.match(argument('  a: {default: x, target_variable: test_only}')[0] ?? '', /'test_only'/)
    assert.match(argument('  test-only: {default: x}')[0] ?? '', /'test_only'/)
  })

  it('have no variable that changes how programs run', () => {
    for (const name of ['PATH', 'LD_PRELOAD', 'BASH_ENV'])
      assert.match(argument(`  ${name}: {default: x}`)[0] ?? '', /another target_variable/)
  })

  it('have names that a command line can carry', () => {
    for (const name of ['1a', '"a b"', '-a', '""', 'é'])
      assert.match(argument(`  ${name}: {default: x}`)[0] ?? '', /cannot name an argument/)
    assert.deepEqual(argument('  java-distro.v2_x: {default: x}'), [])
  })

  it('have bodies of the right kinds', () => {
    assert.deepEqual(
      argument(`  a: text
  b: {default: [x]}
  c: {default: x, required: perhaps}
  d: {default: x, choices: x}
  e: {default: x, choices: []}
  f: {default: x, target_variable: a-b}
  g: {default: x, descripton: y}`),
      [
        '2:6: wanted a mapping, found "text"',
        '3:16: wanted a text, found a list of 1',
        '4:29: wanted true or false, found "perhaps"',
        '5:28: wanted a list, found "x"',
        '6:28: wanted at least 1 items, found 0',
        '7:36: wanted the name of an environment variable, found "a-b"',
        "8:19: unknown key 'descripton'; did you mean 'description'?",
      ],
    )
  })

  it('have a default unless they are required, and one of their choices', () => {
    assert.deepEqual(argument('  a: {description: x}\n  b:\n  c: {required: true}'), [
      "2:6: argument 'a' is not required, so it needs a default",
      "3:5: argument 'b' is not required, so it needs a default",
    ])
    assert.deepEqual(argument('  a: {default: opnjdk, choices: [openjdk, oracle]}'), [
      "2:16: the default 'opnjdk' is none of the choices openjdk, oracle; did you mean 'openjdk'?",
    ])
  })

  it('keep secrets out of the recipe', () => {
    assert.match(
      argument('  a: {secret: true, default: hunter2}')[0] ?? '',
      /^2:30: a secret must not stand in the recipe/,
    )
    assert.deepEqual(argument('  a: {secret: true}'), [
      "2:6: argument 'a' is a secret, so it must be required",
    ])
    assert.deepEqual(argument('  a: {secret: true, required: true}'), [])
  })

  it('may be hidden, which means nothing, as in Sahara', () => {
    assert.deepEqual(argument('  a: {default: x, hidden: True}'), [])
  })
})

describe('a step', () => {
  it('is a mapping with one validator', () => {
    assert.deepEqual(stepErrors('  - nginx\n  - [package]\n  -\n  - {}'), [
      '2:5: wanted a mapping with one validator, such as `package: nginx`, found a single value',
      '3:5: wanted a mapping with one validator, such as `package: nginx`, found a list',
      '4:4: wanted a mapping with one validator, such as `package: nginx`, found nothing',
      ...stepErrors('  - {}').map((line) => line.replace('2:', '5:')),
    ])
    assert.match(stepErrors('  - {}')[0] ?? '', /the step names no validator; there are package/)
    assert.deepEqual(stepErrors('  - package: a\n    all: []'), [
      '3:5: a step has one validator, found package and all; put a dash before each',
    ])
  })

  it('names a validator that exists', () => {
    assert.deepEqual(stepErrors('  - pakage: a\n  - argument-case: {}'), [
      "2:5: unknown validator 'pakage'; did you mean 'package'?",
      "3:5: unknown validator 'argument-case'; did you mean 'argument_case'?",
    ])
    assert.match(
      stepErrors('  - frobnicate: a')[0] ?? '',
      /^2:5: unknown validator 'frobnicate'; there are package, script, /,
    )
  })

  it('has no keys beside its validator but name, when and on', () => {
    assert.deepEqual(stepErrors('  - package: a\n    wehn: x\n    version: 1'), [
      "3:5: unknown key 'wehn'; did you mean 'when'?",
      "4:5: unknown key 'version'; beside its validator a step may have name, when, on",
    ])
    assert.deepEqual(stepErrors('  - package: a\n    on: images'), [
      '3:9: wanted "image" or "host", found "images"; did you mean \'image\'?',
    ])
  })

  it('has a condition that can be read', () => {
    assert.match(when('args.x =='), /^3:11: the condition cannot be read: /)
    assert.match(when('arg.x == 1'), /Unknown variable: arg; it may use args.NAME/)
    assert.match(when('facts.distrro == 1'), /facts.distrro; did you mean 'distro'\?$/)
  })

  it('that names a validator of the wrong kind says what it takes', () => {
    assert.match(stepErrors('  - package: 5.5')[0] ?? 'ok', /ok/)
    assert.match(stepErrors('  - package:')[0] ?? '', /^2:13: wanted .*package.*, found nothing/)
    assert.match(stepErrors('  - any: nginx')[0] ?? '', /^2:10: wanted a list of steps, found/)
    assert.match(stepErrors('  - script: [a]')[0] ?? '', /^2:13: wanted the path of a script or/)
    assert.match(
      stepErrors('  - argument_set: {argument_name: a}')[0] ?? '',
      /^2:19: the key 'value' is missing/,
    )
    assert.match(
      stepErrors('  - argument_case: {argument_name: a, cases: {}}')[0] ?? '',
      /^2:46: wanted at least 1 keys, found 0/,
    )
    assert.match(stepErrors('  - any: []')[0] ?? '', /^2:10: an empty `any` can never hold/)
  })
})

/** A recipe with a secret and one command. */
const commanding = (key: string) => `
arguments: {token: {secret: true, required: true}}
validators:
  - command: {${key}, creates: /x, env: {TOKEN: "{{ token }}"}}
`

describe('a secret', () => {
  it('must not stand in the words of a command, which every process sees', () => {
    for (const key of ['run: "login {{ token }}"', 'run: [login, "{{ token }}"]'])
      assert.match(errorsOf(commanding(key)).join(), /'token' is a secret.*give it by env/, key)
    assert.match(errorsOf(commanding('run: a, unless: "b {{ token }}"')).join(), /give it by env/)
    assert.deepEqual(errorsOf(commanding('run: a')), [])
  })
})

describe('a recipe warns', () => {
  it('of an argument that is passed to a script but nowhere declared or set', () => {
    assert.deepEqual(warningsOf(passing('java_version'), { s: QUIET_SCRIPT }), [])
    assert.deepEqual(warningsOf(passing('java_verson'), { s: QUIET_SCRIPT }), [
      "4:43: no argument 'java_verson' is declared or set; did you mean 'java_version'?",
    ])
  })

  it('of a condition or a case that looks at an argument nobody gives', () => {
    assert.deepEqual(
      warningsOf(`validators:
  - package: a
    when: args.jav == 'x'
  - argument_case: {argument_name: java, cases: {x: []}}
`),
      ["3:11: no argument 'jav' is declared or set", "4:36: no argument 'java' is declared or set"],
    )
  })

  it('of an argument that no step looks at', () => {
    assert.deepEqual(warningsOf('arguments: {a: {default: x}}\nvalidators: []\n'), [
      "1:13: no step looks at 'a'",
    ])
  })

  it('of a default that is never used', () => {
    assert.match(
      warningsOf('arguments: {a: {default: x, required: yes}}\nvalidators: []\n').join(),
      /'a' is required, so its default is never used/,
    )
  })

  it('of setting what Ingot gives', () => {
    assert.deepEqual(
      warningsOf('validators:\n  - argument_set: {argument_name: distro, value: debian}\n'),
      ["2:35: 'distro' is given to every step by Ingot; setting it here is of little use"],
    )
  })
})
