import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { inspectText, recipeOf } from '../testing/recipe-text.ts'

/** The errors of a text, in order. */
const errorsOf = (text: string, resources?: Record<string, string>) =>
  inspectText(text, resources).errors
const warningsOf = (text: string, resources?: Record<string, string>) => {
  const { errors, warnings } = inspectText(text, resources)
  assert.deepEqual(errors, [])
  return warnings
}
/** The errors of one step. */
const stepErrors = (step: string, resources?: Record<string, string>) =>
  errorsOf(`validators:\n${step}\n`, resources)

const QUIET = '#!/bin/sh\n[ "$test_only" = 1 ] && exec test -e /done\n'
const WHOLE = `
name: my image
description: what it is for
arguments:
  java_distro:
    description: which Java
    default: openjdk
    required: false
    choices: [openjdk, oracle-java]
validators:
  - os_case:
      - redhat:
          - package: nfs-utils
      - debian:
          - package: nfs-common
  - any:
      - all:
          - package: java-1.8
          - argument_set: {argument_name: java_version, value: 1.8}
      - all:
          - package: java-1.7
          - argument_set: {argument_name: java_version, value: 1.7}
  - script:
      scripts/java:
        env_vars: [java_distro]
        output: java_home
  - package:
      - hadoop
      - hive: {version: 2.3.4-1}
  - argument_case:
      argument_name: java_distro
      cases:
        openjdk: [{package: openjdk-7}]
        oracle-java: [{package: oracle}]
`
const RESOURCES = { 'scripts/java': QUIET }

const digestOf = (text: string, script: string) => recipeOf(text, { s: script }).digest
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

/** Throws nothing but what it must: every fault is one that is told. */
const survives = (text: string) => {
  const { recipe, errors, warnings } = inspectText(text, RESOURCES)
  assert.equal(recipe === undefined, errors.length > 0)
  assert.ok([...errors, ...warnings].every((line) => /^\d+:\d+: \S/.test(line)))
}

describe('a recipe', () => {
  it('is read into steps, with what its author wrote', () => {
    const recipe = recipeOf(WHOLE, RESOURCES)
    assert.equal(recipe.name, 'my image')
    assert.equal(recipe.description, 'what it is for')
    assert.deepEqual(
      recipe.steps.map(({ validator }) => validator.name),
      ['os_case', 'any', 'script', 'package', 'argument_case'],
    )
    assert.deepEqual(recipe.args, [
      {
        name: 'java_distro',
        variable: 'java_distro',
        description: 'which Java',
        default: 'openjdk',
        required: false,
        choices: ['openjdk', 'oracle-java'],
        secret: false,
        place: { file: 'recipe.yaml', line: 5, column: 3 },
      },
    ])
    assert.deepEqual(recipe.warnings, [])
  })

  it('is called by its file when it has no name', () => {
    assert.equal(recipeOf('validators: []').name, 'recipe')
  })

  it('needs no more than an empty list of validators', () => {
    assert.deepEqual(recipeOf('validators: []\n').steps, [])
    assert.deepEqual(recipeOf('arguments:\nvalidators: []\n').args, [])
  })

  it('gives every step an id that says where it stands', () => {
    const { steps } = recipeOf('validators:\n  - package: a\n  - all:\n      - package: b\n')
    const [, second] = steps
    assert.equal(steps[0]?.id, 'validators[0]')
    assert.deepEqual(
      (second!.options as { id: string }[]).map(({ id }) => id),
      ['validators[1].all[0]'],
    )
    assert.deepEqual(second?.place, { file: 'recipe.yaml', line: 3, column: 5 })
  })

  it('has a digest that changes with its text and with every file it uses', () => {
    const text = 'validators: [{script: s}]'
    assert.match(digestOf(text, QUIET), /^[0-9a-f]{64}$/)
    assert.equal(digestOf(text, QUIET), digestOf(text, QUIET))
    assert.notEqual(digestOf(text, QUIET), digestOf(`${text}\n`, QUIET))
    assert.notEqual(digestOf(text, QUIET), digestOf(text, `${QUIET}\n`))
  })

  it('takes texts as they are written: 1.10 is not 1.1, yes is not true', () => {
    const { args } = recipeOf(`
arguments:
  version: {default: 1.10, choices: [1.10, 2024-01-31, yes]}
validators:
  - argument_case:
      argument_name: version
      cases: {1.10: [], 2024-01-31: [], yes: []}
`)
    assert.equal(args[0]?.default, '1.10')
    assert.deepEqual(args[0]?.choices, ['1.10', '2024-01-31', 'yes'])
  })

  it('may name a step and say when and where it is for', () => {
    const { steps } = recipeOf(`
arguments: {java: {default: openjdk}}
validators:
  - package: openjdk-17-jre
    name: Java
    when: args.java == 'openjdk'
    on: image
`)
    assert.equal(steps[0]?.title, 'Java')
    assert.equal(steps[0]?.when?.text, "args.java == 'openjdk'")
    assert.equal(steps[0]?.on, 'image')
  })
})

describe('the faults of a recipe', () => {
  it('are all found in one go, in the order of the file', () => {
    assert.deepEqual(
      errorsOf(`nmae: x
arguments:
  a: {}
  distro: {default: x}
validators:
  - pakage: nginx
  - package: {java: {versoin: 8}}
  - os_case: {debian: []}
  - script: missing.sh
tests: nothing
`),
      [
        "1:1: unknown key 'nmae'; did you mean 'name'?",
        "3:6: argument 'a' is not required, so it needs a default",
        "4:3: 'distro' is given to every step by Ingot, so no argument may have its name",
        "6:5: unknown validator 'pakage'; did you mean 'package'?",
        "7:22: unknown key 'versoin'; did you mean 'version'?",
        '8:14: wanted a list, found a mapping',
        "9:13: no file 'missing.sh'",
        '10:8: wanted a list of steps, found a single value',
      ],
    )
  })

  it('say where they stand within nested lists', () => {
    assert.deepEqual(
      errorsOf(`validators:
  - any:
      - all:
          - os_case:
              - debian:
                  - package: {x: {version: [1]}}
                  - script: {s: {enf_vars: [a]}}
`),
      [
        '6:44: wanted a version, found a list of 1',
        "7:34: unknown key 'enf_vars'; did you mean 'env_vars'?",
      ],
    )
  })
})

describe('the root of a recipe', () => {
  it('must be YAML', () => {
    assert.match(errorsOf('validators: [\n')[0] ?? '', /^2:1: /)
    assert.match(errorsOf('validators:\n  - package: "open\n')[0] ?? '', /^3:1: Missing closing/)
    assert.match(errorsOf('a: b: c\n')[0] ?? '', /^1:4: /)
  })

  it('must be a mapping', () => {
    for (const [text, found] of [
      ['', 'nothing'],
      ['# only a comment\n', 'nothing'],
      ['- package: nginx\n', 'a list'],
      ['nginx\n', 'a single value'],
    ] as const)
      assert.deepEqual(errorsOf(text), [
        `1:1: wanted a mapping with the key 'validators', found ${found}`,
      ])
  })

  it('must not be a bomb', () => {
    const bomb = `a: &a [x, x]\n${Array.from({ length: 30 }, (_, i) => `b${i}: &b${i} [*${i === 0 ? 'a' : `b${i - 1}`}, *${i === 0 ? 'a' : `b${i - 1}`}]`).join('\n')}\nvalidators: []\n`
    assert.equal(errorsOf(bomb).length, 1)
    assert.match(errorsOf(bomb)[0] ?? '', /more than 100000 values once its aliases are followed/)
  })

  it('must have validators', () => {
    assert.deepEqual(errorsOf('arguments: {}\n'), [
      "1:1: the key 'validators' is missing (the list of steps)",
    ])
    assert.deepEqual(errorsOf('validators:\n'), ['1:12: wanted a list of steps, found nothing'])
    assert.deepEqual(errorsOf('validators: {package: nginx}\n'), [
      '1:13: wanted a list of steps, found a mapping; put a dash before each step',
    ])
  })

  it('has no keys but its own', () => {
    assert.deepEqual(errorsOf('validator: []\nvalidators: []\nconstructor: 1\n'), [
      "1:1: unknown key 'validator'; did you mean 'validators'?",
      "3:1: unknown key 'constructor'; wanted one of name, description, arguments, base, disk, validators, clean, tests",
    ])
  })

  it('has each key once', () => {
    assert.deepEqual(errorsOf('validators: []\nvalidators: []\n'), [
      "2:1: the key 'validators' stands twice in this mapping; the first is on line 1",
    ])
  })
})

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
    assert.deepEqual(warningsOf(passing('java_version'), { s: QUIET }), [])
    assert.deepEqual(warningsOf(passing('java_verson'), { s: QUIET }), [
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

describe('parseRecipe', () => {
  it('answers any text with a recipe or with faults', () => {
    const words = [
      ...'validators:|arguments:|package:|any:|all:|os_case:|script:|argument_case:|argument_set:'.split(
        '|',
      ),
      ...'cases:|argument_name:|value:|default:|choices:|required:|name:|when:|on:|base:|clean:'.split(
        '|',
      ),
      ...'\n|\n  |\n    |- | |{|}|[|]|,|a|1.5|yes|~|"|scripts/java|{{ a }}|&x |*x|<<: '.split('|'),
    ]
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...words), { maxLength: 40 }), (parts) =>
        survives(parts.join('')),
      ),
      { numRuns: 400 },
    )
  })

  it('answers every mutation of a good recipe with a recipe or with faults', () => {
    const cut = fc.record({
      from: fc.nat(WHOLE.length),
      length: fc.nat(30),
      insert: fc.oneof(
        fc.constantFrom('', '\n', '  ', '- ', ': ', '{', '[', '~', '5', 'x', '"', '&a', '*a', '\t'),
        fc.string({ maxLength: 8 }),
      ),
    })
    fc.assert(
      fc.property(fc.array(cut, { minLength: 1, maxLength: 4 }), (cuts) => {
        let text = WHOLE
        for (const { from, length, insert } of cuts)
          text = text.slice(0, from) + insert + text.slice(from + length)
        survives(text)
      }),
      { numRuns: 400 },
    )
  })

  it('answers every tree of values with a recipe or with faults', () => {
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { maxDepth: 4 },
        fc.constantFrom('a', 'x y', '', null, true, 5, 1.5, 'scripts/java', '{{', 'args.a == "b"'),
        fc.array(tie('tree'), { maxLength: 3 }),
        fc.dictionary(
          fc.constantFrom(
            ...'package script copy_script any all os_case argument_case argument_set'.split(' '),
            ...'name when on argument_name cases value version env_vars output inline a'.split(' '),
          ),
          tie('tree'),
          { maxKeys: 3 },
        ),
      ),
    }))
    fc.assert(
      fc.property(tree, tree, tree, (args, steps, tests) =>
        survives(JSON.stringify({ arguments: args, validators: [steps, steps], tests })),
      ),
      { numRuns: 400 },
    )
  })
})
