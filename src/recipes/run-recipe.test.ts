import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ProgressEvent } from '../base/context.ts'
import { Failure } from '../base/failure.ts'
import { failsWith } from '../testing/fails-with.ts'
import { runText } from '../testing/recipe-text.ts'
import type { RemoteScript } from '../testing/scripted-remote.ts'
import type { Verdict } from './report.ts'

/** Scripts that answer by their names: see `ANSWERS`. */
const RESOURCES = { good: 'test_only\n', bad: 'test_only\n', heals: 'test_only\n' }
/** `good` always ends with 0, `bad` never, `heals` once it has been applied. */
const ANSWERS: NonNullable<RemoteScript['answers']> = [
  { to: /\/bad$/, give: { code: 1, stderr: 'first line\nlast line' } },
  {
    to: /\/heals$/,
    give: ({ env }, files) => {
      if (env?.['test_only'] === '0')
        files.write('/healed', Buffer.from(''), { mode: 0o644, uid: 0, gid: 0 })
      return { code: files.stat('/healed') ? 0 : 1 }
    },
  },
]
const run = (text: string, options: Parameters<typeof runText>[1] = {}) =>
  runText(text, { resources: RESOURCES, answers: ANSWERS, ...options })
const statuses = (verdicts: readonly Verdict[]) => verdicts.map(({ status }) => status)

describe('test-only', () => {
  it('checks every step, so that all differences are known', async () => {
    const { report } = await run('validators: [{script: bad}, {script: good}, {script: bad}]', {
      mode: 'test-only',
    })
    assert.deepEqual(statuses(report.verdicts), ['differs', 'held', 'differs'])
    assert.equal(report.ok, false)
    assert.deepEqual(report.verdicts[0]?.differences, [
      { what: 'script bad', expected: 'ends with 0', found: 'ended with 1: last line' },
    ])
  })

  it('checks the tests of the recipe as well; reconcile does not', async () => {
    const text = 'validators: [{script: good}]\ntests: [{script: bad}]'
    assert.equal((await run(text, { mode: 'test-only' })).report.ok, false)
    assert.equal((await run(text)).report.ok, true)
  })

  it('says that it cannot know where a command is needed and none can be run', async () => {
    const { report } = await run('validators: [{script: good}]', {
      mode: 'test-only',
      noCommands: true,
    })
    assert.deepEqual(statuses(report.verdicts), ['unknown'])
    assert.match(report.verdicts[0]?.message ?? '', /^needs a command: /)
    assert.equal(report.ok, false)
  })
})

describe('reconcile', () => {
  it('stops at the first step that fails, and says what was not reached', async () => {
    const { report } = await run('validators: [{script: good}, {script: bad}, {script: good}]')
    assert.deepEqual(statuses(report.verdicts), ['changed', 'failed', 'skipped'])
    assert.match(report.verdicts[1]?.message ?? '', /script bad ended with 1: last line/)
    assert.equal(report.verdicts[1]?.output, 'first line\nlast line')
    assert.equal(report.verdicts[2]?.message, 'not reached: an earlier step failed')
  })

  it('stops the whole run when a nested step fails', async () => {
    const { report } = await run(
      'validators: [{all: [{script: bad}, {script: good}]}, {script: good}]',
    )
    assert.deepEqual(statuses(report.verdicts), ['failed', 'skipped'])
    assert.deepEqual(statuses(report.verdicts[0]?.children ?? []), ['failed', 'skipped'])
  })

  it('ends with what the step could not do, not with an exception', async () => {
    const { report } = await run('validators: [{script: good}]', {
      answers: [{ to: /good/, give: new Failure('COMMAND_TIMEOUT', 'too slow') }],
    })
    assert.deepEqual(statuses(report.verdicts), ['failed'])
    assert.equal(report.verdicts[0]?.message, 'too slow')
  })

  it('lets a bug through', async () => {
    await assert.rejects(
      run('validators: [{script: good}]', {
        answers: [{ to: /good/, give: new Failure('INTERRUPTED', 'stop') }],
      }),
      failsWith('INTERRUPTED'),
    )
  })

  it('stops when the connection is lost, in test-only too', async () => {
    for (const mode of ['reconcile', 'test-only'] as const) {
      const { report } = await run('validators: [{script: good}, {script: good}]', {
        mode,
        answers: [{ to: /good/, give: new Failure('REMOTE_LOST', 'gone') }],
      })
      assert.deepEqual(statuses(report.verdicts), ['failed', 'skipped'])
    }
  })
})

/** A recipe of one step that fails unless its condition leaves it out. */
const conditional = (condition: string) =>
  `arguments: {a: {default: x}}\nvalidators: [{script: bad, ${condition}}]`

describe('a step', () => {
  it('is skipped when its condition does not hold', async () => {
    const { report } = await run(conditional(`when: "args.a == 'y'"`))
    assert.deepEqual(statuses(report.verdicts), ['skipped'])
    assert.equal(report.verdicts[0]?.message, "when: args.a == 'y'")
    assert.equal(report.ok, true)
    assert.equal((await run(conditional(`when: "args.a == 'x'"`))).report.ok, false)
  })

  it('fails when its condition cannot be answered', async () => {
    const { report } = await run(conditional(`when: "args.b == 'y'"`))
    assert.deepEqual(statuses(report.verdicts), ['failed'])
    assert.match(report.verdicts[0]?.message ?? '', /cannot be answered: No such key: b/)
  })

  it('is for images or for hosts', async () => {
    assert.equal((await run(conditional('on: host'))).report.ok, true)
    assert.equal((await run(conditional('on: host'), { place: 'host' })).report.ok, false)
  })

  it('tells when it begins and when it ends', async () => {
    const events: ProgressEvent[] = []
    await run('validators: [{script: good}, {script: good}]', {
      context: { progress: (event) => events.push(event) },
    })
    assert.deepEqual(
      events.map((event) => (event.kind === 'step' ? `${event.index}/${event.total}` : event.kind)),
      ['1/2', 'step-end', '2/2', 'step-end'],
    )
  })
})

describe('the arguments of a run', () => {
  it('are all checked before anything is done', async () => {
    await assert.rejects(
      run('arguments: {a: {required: true}}\nvalidators: [{script: good}]'),
      failsWith('ARGUMENT_INVALID'),
    )
  })

  it('are in the report, with the distribution, secrets as ***', async () => {
    const { report } = await run(
      'arguments: {a: {default: x}, s: {secret: true, required: true}}\nvalidators: []',
      { values: { s: 'hunter2' } },
    )
    assert.deepEqual(report.args, { a: 'x', s: '***', distro: 'debian' })
  })

  it('that are secret are in no report, no progress and no command line', async () => {
    const events: unknown[] = []
    const { report, calls, commands } = await run(
      `arguments: {pass: {secret: true, required: true}}
validators:
  - script: {bad: {env_vars: [pass]}}
`,
      {
        values: { pass: 'hunter2' },
        answers: [{ to: /bad/, give: { code: 1, stdout: 'out hunter2', stderr: 'err hunter2' } }],
        context: { progress: (event) => events.push(event) },
      },
    )
    const ran = calls.flatMap((call) => (call.kind === 'run' ? [call.command] : []))
    assert.equal(ran.find(({ env }) => env?.['pass'])?.env?.['pass'], 'hunter2')
    const written = calls.flatMap((call) =>
      call.kind === 'write' ? [Buffer.from(call.content).toString()] : [],
    )
    for (const seen of [report, events, commands(), written])
      assert.ok(!JSON.stringify(seen).includes('hunter2'))
    assert.match(report.verdicts[0]?.output ?? '', /err \*\*\*/)
  })
})

describe('the report', () => {
  it('counts only what was done: a reconcile after a reconcile changes nothing more', async () => {
    const text = 'validators: [{any: [{script: heals}]}]'
    const first = await run(text)
    assert.deepEqual(statuses(first.report.verdicts), ['changed'])
    const again = await run(text, { files: { '/healed': '' } })
    assert.deepEqual(statuses(again.report.verdicts), ['held'])
  })

  it('says what ran where, and by which recipe', async () => {
    const { report } = await run('name: mine\nvalidators: []', { name: 'disk.raw' })
    assert.equal(report.recipe.name, 'mine')
    assert.match(report.recipe.digest, /^[0-9a-f]{64}$/)
    assert.deepEqual(report.target, { name: 'disk.raw', via: 'scripted', place: 'image' })
    assert.equal(report.facts.distro, 'debian')
  })
})
