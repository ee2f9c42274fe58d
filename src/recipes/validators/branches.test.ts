import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { inspectText, runText } from '../../testing/recipe-text.ts'
import type { RemoteScript } from '../../testing/scripted-remote.ts'
import type { Verdict } from '../report.ts'

const RESOURCES = { good: 'test_only', bad: 'test_only', applies: 'test_only', blind: 'touch /x' }
/** `good` ends with 0, `bad` with 1, `applies` with 0 only when it may change things. */
const ANSWERS: NonNullable<RemoteScript['answers']> = [
  { to: /\/bad$/, give: { code: 1 } },
  { to: /\/applies$/, give: ({ env }) => ({ code: env?.['test_only'] === '0' ? 0 : 1 }) },
]
const run = (text: string, options: Parameters<typeof runText>[1] = {}) =>
  runText(text, { resources: RESOURCES, answers: ANSWERS, ...options })
const tree = (verdicts: readonly Verdict[]): unknown[] =>
  verdicts.map(({ status, children }) =>
    children.length > 0 ? { [status]: tree(children) } : status,
  )
const warningsOf = (text: string) => inspectText(text, RESOURCES).warnings

describe('all', () => {
  it('goes on in test-only, stops at the first failure in reconcile', async () => {
    const text = 'validators: [{all: [{script: bad}, {script: good}]}]'
    assert.deepEqual(tree((await run(text, { mode: 'test-only' })).report.verdicts), [
      { differs: ['differs', 'held'] },
    ])
    assert.deepEqual(tree((await run(text)).report.verdicts), [{ failed: ['failed', 'skipped'] }])
  })

  it('of nothing holds', async () => {
    assert.deepEqual(tree((await run('validators: [{all: []}]')).report.verdicts), ['held'])
  })
})

/** Whether an `any` of these steps is warned of. */
const warned = (steps: string) =>
  warningsOf(`validators: [{any: [${steps}]}]`).filter((line) => /whatever is found/.test(line))

describe('any', () => {
  it('reports the step that holds, and none that was tried before', async () => {
    const { report } = await run('validators: [{any: [{script: bad}, {script: good}]}]')
    assert.deepEqual(tree(report.verdicts), [{ held: ['held'] }])
  })

  it('reports the step that was applied', async () => {
    const { report } = await run('validators: [{any: [{script: bad}, {script: applies}]}]')
    assert.deepEqual(tree(report.verdicts), [{ changed: ['changed'] }])
  })

  it('reports each step once when all fail', async () => {
    const { report } = await run('validators: [{any: [{script: bad}, {script: bad}]}]')
    assert.deepEqual(tree(report.verdicts), [{ failed: ['failed', 'failed'] }])
  })

  it('does not count a step whose condition leaves it out', async () => {
    const text = `validators: [{any: [{script: good, when: "place == 'host'"}, {script: bad}]}]`
    assert.equal((await run(text)).report.ok, false)
  })

  it('holds on a remote without commands if one of its steps can be told by reading', async () => {
    const status = 'Package: jq\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n'
    const { report } = await run('validators: [{any: [{script: good}, {package: jq}]}]', {
      mode: 'test-only',
      noCommands: true,
      files: { '/var/lib/dpkg/status': status },
    })
    assert.deepEqual(tree(report.verdicts), [{ held: ['held'] }])
  })

  it('warns of a step that holds whatever is found, since the others are never applied', () => {
    assert.equal(warned('{script: blind}, {package: a}').length, 1)
    assert.equal(warned('{package: a}, {all: [{script: blind}]}').length, 1)
    assert.equal(warned('{copy_script: good}').length, 1)
    assert.equal(warned('{script: good}, {all: [{package: a}, {script: blind}]}').length, 0)
  })
})

describe('os_case', () => {
  const text =
    'validators: [{os_case: [{rocky: [{script: good}]}, {redhat: [{script: bad}]}, {suse: []}]}]'

  it('takes the first name that fits, so distributions go before families', async () => {
    for (const [id, ok] of [
      ['rocky', true],
      ['almalinux', false],
      ['debian', true],
    ] as const) {
      const { report } = await run(text, { files: { '/etc/os-release': `ID=${id}\n` } })
      assert.equal(report.ok, ok, id)
    }
  })

  it('goes by what a distribution says it is like', async () => {
    const files = { '/etc/os-release': 'ID=mylinux\nID_LIKE="rhel fedora"\n' }
    assert.equal((await run(text, { files })).report.ok, false)
  })

  it('warns of a name that it does not know', () => {
    assert.match(
      warningsOf('validators: [{os_case: [{centos7: []}, {dbian: []}, {redhat: []}]}]').join('\n'),
      /^1:48: Ingot knows no distribution or family 'dbian'; did you mean 'debian'\?$/,
    )
  })
})

/** An argument of these choices and the cases for it. */
const javaCase = (choices: string, cases: string) => `
arguments: {java: {default: openjdk, choices: [${choices}]}}
validators: [{argument_case: {argument_name: java, cases: {${cases}}}}]
`

describe('argument_case', () => {
  it('runs the steps of the value', async () => {
    const cases = 'openjdk: [{script: good}], oracle: [{script: bad}]'
    assert.equal((await run(javaCase('openjdk, oracle', cases))).report.ok, true)
    const values = { java: 'oracle' }
    assert.equal((await run(javaCase('openjdk, oracle', cases), { values })).report.ok, false)
  })

  it('may ask for the distribution', async () => {
    const { report } = await run(
      'validators: [{argument_case: {argument_name: distro, cases: {debian: [{script: bad}]}}}]',
    )
    assert.equal(report.ok, false)
  })

  it('fails for an argument that nobody gave', async () => {
    const { report } = await run(
      'validators: [{argument_case: {argument_name: none, cases: {a: []}}}]',
    )
    assert.equal(report.verdicts[0]?.message, "argument 'none' not found")
  })

  it('warns of a case that is no choice and of a choice without a case', () => {
    assert.deepEqual(
      warningsOf(javaCase('openjdk, oracle-java', 'openjdk: [], oracel-java: []')).map((line) =>
        line.replace(/^\d+:\d+: /, ''),
      ),
      [
        "nothing is done for 'oracle-java', which 'java' may be as well",
        "'oracel-java' is none of the choices of 'java' (openjdk, oracle-java); did you mean 'oracle-java'?",
      ],
    )
    assert.deepEqual(warningsOf(javaCase('openjdk', 'openjdk: []')), [])
  })
})
