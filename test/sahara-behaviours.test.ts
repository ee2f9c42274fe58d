/**
 * What Sahara's own unit tests ask of its recipes, asked of ours, with the numbers of the list in docs/sahara.md.
 * Source: sahara/tests/unit/plugins/test_images.py, sahara/tests/unit/cli/image_pack.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { toFacts } from '../src/remotes/facts.ts'
import { recipeOf, runText } from '../src/testing/recipe-text.ts'
import {
  debian,
  osRelease,
  PACKAGE,
  QUIET,
  ran,
  redhat,
  run,
  scriptsIn,
} from '../src/testing/sahara-scene.ts'

const titlesOf = (steps: string) =>
  recipeOf(`validators:\n${steps}\n`, { s: QUIET }).steps.map(({ title }) => title)

describe('Sahara: loading', () => {
  it('1. a package from a text: one package', () => {
    assert.deepEqual(titlesOf('- package: java'), ['package java'])
  })

  it('2. a package with a version: name and version kept apart', () => {
    assert.deepEqual(titlesOf('- package: {java: {version: "8"}}'), ['package java 8'])
  })

  it('3. a mixed list: two packages, in order', () => {
    assert.deepEqual(titlesOf('- package: [java, {tree: {version: "8"}}]'), [
      'package java, tree 8',
    ])
  })

  it('4. a script from a path: its environment is test_only and distro', async () => {
    const { calls } = await run('validators: [{script: ok}]')
    const [command] = calls.flatMap((call) => (call.kind === 'run' ? [call.command] : []))
    assert.deepEqual(Object.keys(command?.env ?? {}), ['test_only', 'distro'])
  })

  it('5. a script from a mapping: those two, then the arguments named, in order', async () => {
    const { calls } = await run(`
arguments: {b: {default: 1}, a: {default: 2}, c: {default: 3}}
validators: [{script: {ok: {env_vars: [a, b]}}}]
`)
    const [command] = calls.flatMap((call) => (call.kind === 'run' ? [call.command] : []))
    assert.deepEqual(Object.entries(command?.env ?? {}), [
      ['test_only', '0'],
      ['distro', 'debian'],
      ['b', '1'],
      ['a', '2'],
    ])
  })

  it('6. any and all from a list: their children, in order', () => {
    for (const branch of ['any', 'all']) {
      const [step] = recipeOf(`validators: [{${branch}: [{package: java}, {package: tree}]}]`).steps
      assert.equal(step?.validator.kind, 'branch')
      const children = step.validator.kind === 'branch' ? step.validator.children(step.options) : []
      assert.deepEqual(
        children.flatMap(({ steps }) => steps.map(({ title }) => title)),
        ['package java', 'package tree'],
      )
    }
  })

  it('7. os_case: its cases, in order, with the right children', () => {
    const [step] = recipeOf(
      'validators: [{os_case: [{redhat: [{package: nfs-utils}]}, {debian: [{package: nfs-common}]}]}]',
    ).steps
    const children = step?.validator.kind === 'branch' ? step.validator.children(step.options) : []
    assert.deepEqual(
      children.map(({ label, steps }) => [label, steps.map(({ title }) => title)]),
      [
        ['redhat', ['package nfs-utils']],
        ['debian', ['package nfs-common']],
      ],
    )
  })

  it('8. a whole recipe: children of the right kinds in order, arguments as written', () => {
    const { steps, args } = recipeOf(
      `
arguments:
  java-distro: {description: The java distribution., default: openjdk, required: false, choices: [openjdk, oracle-java]}
validators:
  - os_case:
      - redhat: [{package: nfs-utils}]
      - debian: [{package: nfs-common}]
  - any:
      - all: [{package: java8}, {argument_set: {argument_name: java_version, value: 1.8}}]
      - all: [{package: java7}, {argument_set: {argument_name: java_version, value: 1.7}}]
  - script: {s: {env_vars: [java-distro]}}
  - package: [hadoop, {tree: {version: "1"}}]
  - argument_case: {argument_name: java-distro, cases: {openjdk: [{package: a}], oracle-java: [{package: b}]}}
`,
      { s: QUIET },
    )
    assert.deepEqual(
      steps.map(({ validator }) => validator.name),
      ['os_case', 'any', 'script', 'package', 'argument_case'],
    )
    const [argument] = args
    assert.equal(argument?.required, false)
    assert.equal(argument.default, 'openjdk')
    assert.equal(argument.description, 'The java distribution.')
    assert.deepEqual(argument.choices, ['openjdk', 'oracle-java'])
  })
})

describe('Sahara: package', () => {
  it('9. redhat family, test-only, the check passes: one query, nothing else', async () => {
    const { report, commands } = await runText(PACKAGE, {
      ...redhat('centos', ['java']),
      mode: 'test-only',
    })
    assert.equal(report.ok, true)
    assert.deepEqual(
      commands().map((line) => line.slice(0, 4)),
      ['rpm '],
    )
  })

  it('10. redhat family, test-only, the check fails: the difference, after one query', async () => {
    const { report, commands } = await runText(PACKAGE, {
      ...redhat('fedora', []),
      mode: 'test-only',
    })
    assert.deepEqual(report.verdicts[0]?.differences, [
      { what: 'package java', expected: 'installed', found: 'not installed' },
    ])
    assert.equal(commands().length, 1)
  })

  it('11. redhat family, reconcile, the check always fails: check, install, check; an error', async () => {
    const { report, commands } = await runText(PACKAGE, redhat('rhel', []))
    assert.equal(report.verdicts[0]?.status, 'failed')
    const programs = commands().map((line) => line.split(' ')[0])
    assert.equal(programs.filter((one) => one === 'yum').length, 1)
    assert.deepEqual([programs[0], programs.at(-1)], ['rpm', 'rpm'])
  })

  it('12. debian family, test-only, the check passes: nothing is run at all', async () => {
    const { report, commands } = await runText(PACKAGE, {
      ...debian('ubuntu', ['java']),
      mode: 'test-only',
    })
    assert.equal(report.ok, true)
    assert.deepEqual(commands(), [])
  })

  it('13. debian family, test-only, the check fails: the difference, and nothing is run', async () => {
    const { report, commands } = await runText(PACKAGE, {
      ...debian('ubuntu', []),
      mode: 'test-only',
    })
    assert.equal(report.verdicts[0]?.status, 'differs')
    assert.deepEqual(commands(), [])
  })

  it('14. debian family, reconcile, the install fails: no second check; an error', async () => {
    const { report, calls } = await runText(PACKAGE, debian('ubuntu', [], { code: 100 }))
    assert.equal(report.verdicts[0]?.status, 'failed')
    const last = calls.findLastIndex((call) => call.kind === 'run')
    const reads = calls.slice(last).flatMap((call) => (call.kind === 'read' ? [call.path] : []))
    assert.ok(!reads.includes('/var/lib/dpkg/status'))
  })
})

describe('Sahara: script', () => {
  it('15. it is written and run at one path of its own; output overwrites an argument', async () => {
    const text = `
arguments: {java: {default: before}}
validators: [{script: {out: {env_vars: [java], output: java}}}, {script: {ok: {env_vars: [java]}}}]
`
    const answers = [{ to: /\/out$/, give: { stdout: 'after\n' } }]
    const { report, calls } = await run(text, { answers })
    const [first, second] = scriptsIn(calls)
    assert.notEqual(first?.path, second?.path)
    assert.equal(first?.text, QUIET)
    assert.equal(report.args['java'], 'after')
    assert.equal(second?.env['java'], 'after')
  })
})

describe('Sahara: any', () => {
  it('16. the first child succeeds: it is called once, nothing else', async () => {
    assert.deepEqual(ran(await run('validators: [{any: [{script: ok}, {script: ok2}]}]')), ['ok 1'])
  })

  it('17. all fail, reconcile: each is called twice, test-only first; an error', async () => {
    const result = await run('validators: [{any: [{script: no}, {script: no2}]}]')
    assert.deepEqual(ran(result), ['no 1', 'no2 1', 'no 0', 'no2 0'])
    assert.equal(result.report.ok, false)
  })

  it('18. all fail, test-only: each is called once; an error', async () => {
    const result = await run('validators: [{any: [{script: no}, {script: no2}]}]', {
      mode: 'test-only',
    })
    assert.deepEqual(ran(result), ['no 1', 'no2 1'])
    assert.equal(result.report.ok, false)
  })

  it('19. the first fails, the second succeeds: one call each, success', async () => {
    const result = await run('validators: [{any: [{script: no}, {script: ok}]}]')
    assert.deepEqual(ran(result), ['no 1', 'ok 1'])
    assert.equal(result.report.ok, true)
  })
})

describe('Sahara: all', () => {
  it('20. all succeed: each is called once, in the same mode', async () => {
    const text = 'validators: [{all: [{script: ok}, {script: ok2}]}]'
    assert.deepEqual(ran(await run(text)), ['ok 0', 'ok2 0'])
    assert.deepEqual(ran(await run(text, { mode: 'test-only' })), ['ok 1', 'ok2 1'])
  })

  it('21. the second fails: both are called once; an error', async () => {
    const result = await run('validators: [{all: [{script: ok}, {script: no}]}]')
    assert.deepEqual(ran(result), ['ok 0', 'no 0'])
    assert.equal(result.report.ok, false)
  })

  it('22. the first fails: the second is never called (in test-only it is, so that all is known)', async () => {
    const text = 'validators: [{all: [{script: no}, {script: ok}]}]'
    assert.deepEqual(ran(await run(text)), ['no 0'])
    assert.deepEqual(ran(await run(text, { mode: 'test-only' })), ['no 1', 'ok 1'])
  })
})

/** A recipe whose cases are a (good) and b (bad). */
const byArgument = (value: string) => `
arguments: {java: {default: ${value}}}
validators: [{argument_case: {argument_name: java, cases: {a: [{script: ok}], b: [{script: no}]}}}]
`

describe('Sahara: cases and sets', () => {
  const os =
    'validators: [{os_case: [{fedora: [{script: ok}]}, {redhat: [{script: no}]}, {debian: [{script: no2}]}]}]'

  it('23. os_case: the exact name wins over the family, and ends it', async () => {
    assert.deepEqual(ran(await run(os, { files: osRelease('fedora') })), ['ok 0'])
  })

  it('24. os_case: the family', async () => {
    assert.deepEqual(ran(await run(os, { files: osRelease('centos') })), ['no 0'])
  })

  it('25. os_case: no match: nothing is called, success', async () => {
    const result = await run(os, { files: osRelease('alpine') })
    assert.deepEqual(ran(result), [])
    assert.equal(result.report.ok, true)
  })

  it('26. argument_case: only the matching case is called', async () => {
    assert.deepEqual(ran(await run(byArgument('a'))), ['ok 0'])
  })

  it('27. argument_case: no match: nothing is called, success', async () => {
    const result = await run(byArgument('c'))
    assert.deepEqual(ran(result), [])
    assert.equal(result.report.ok, true)
  })

  it('28. argument_set overwrites', async () => {
    const set = 'validators: [{argument_set: {argument_name: java, value: b}}]'
    const { report } = await run(`arguments: {java: {default: a}}\n${set}`)
    assert.equal(report.args['java'], 'b')
  })

  it('29. argument_set creates', async () => {
    const { report } = await run('validators: [{argument_set: {argument_name: java, value: b}}]')
    assert.equal(report.args['java'], 'b')
  })

  it('30. the root adds distro from the remote, and passes the mode through', async () => {
    for (const [mode, told] of [
      ['test-only', '1'],
      ['reconcile', '0'],
    ] as const) {
      const result = await run('validators: [{script: ok}]', { mode })
      assert.equal(result.report.args['distro'], 'debian')
      assert.deepEqual(ran(result), [`ok ${told}`])
    }
  })
})

// 31 is `src/recipes/image-run.ts`: see test/pack.test.ts. 32: test/sahara-image-pack.test.ts.
// 33, 37 to 39: each remote keeps the contract of src/testing/remote-contract.ts, where commands
// are argument vectors, so that there is nothing to escape.
describe('Sahara: remotes', () => {
  it('34. the distribution is in lower case', () => {
    assert.equal(toFacts('ID=Ubuntu\n', '').distro, 'ubuntu')
  })

  it('35. the program that installs is the one that the guest has', async () => {
    for (const program of ['dnf', 'yum']) {
      const { commands } = await runText(PACKAGE, {
        files: { ...osRelease('fedora'), [`/usr/bin/${program}`]: '' },
        answers: [{ to: /./ }],
      })
      assert.ok(commands().some((line) => line.startsWith(`${program} `)))
    }
    const { commands } = await runText(PACKAGE, debian('ubuntu', []))
    assert.ok(commands().some((line) => /^apt-get .*install /.test(line)))
  })

  it('36. an unknown distribution is a clear error, before anything is run', async () => {
    const { report, commands } = await runText(PACKAGE, { files: osRelease('plan9') })
    assert.match(report.verdicts[0]?.message ?? '', /knows no package manager for 'plan9'/)
    assert.deepEqual(commands(), [])
  })
})
