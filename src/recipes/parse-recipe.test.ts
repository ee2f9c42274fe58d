import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { errorsOf, inspectText, QUIET_SCRIPT, recipeOf } from '../testing/recipe-text.ts'

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
const RESOURCES = { 'scripts/java': QUIET_SCRIPT }

const digestOf = (text: string, script: string) => recipeOf(text, { s: script }).digest

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
    assert.match(digestOf(text, QUIET_SCRIPT), /^[0-9a-f]{64}$/)
    assert.equal(digestOf(text, QUIET_SCRIPT), digestOf(text, QUIET_SCRIPT))
    assert.notEqual(digestOf(text, QUIET_SCRIPT), digestOf(`${text}\n`, QUIET_SCRIPT))
    assert.notEqual(digestOf(text, QUIET_SCRIPT), digestOf(text, `${QUIET_SCRIPT}\n`))
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
