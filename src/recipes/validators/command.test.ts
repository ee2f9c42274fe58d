import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { failsWith } from '../../testing/fails-with.ts'
import { type BenchOptions, openBench, parseSteps } from '../../testing/recipe-bench.ts'

const made = (script: BenchOptions = {}) =>
  openBench({
    answers: [
      {
        to: 'make-it',
        give: (_command, files) =>
          files.write('/made', Buffer.alloc(0), { mode: 0o644, uid: 0, gid: 0 }),
      },
      { to: /test -e/, give: (_command, files) => ({ code: files.stat('/made') ? 0 : 1 }) },
      { to: 'fails', give: { code: 3, stderr: 'first\nno luck\n' } },
      { to: /./ },
    ],
    ...script,
  })

describe('command', () => {
  it('is run when what it creates is not there, once', async () => {
    const bench = made()
    const steps = '- command: {run: [make-it, "a b", "$(id)"], creates: /made}'
    assert.equal((await bench.test(steps))[0]?.status, 'differs')
    assert.deepEqual(bench.commands(), [])
    assert.equal((await bench.reconcile(steps))[0]?.status, 'changed')
    assert.equal((await bench.reconcile(steps))[0]?.status, 'held')
    const argv = bench.calls.flatMap((call) => (call.kind === 'run' ? [call.command.argv] : []))
    assert.deepEqual(argv, [['make-it', 'a b', '$(id)']])
  })

  it('is run unless another command says that its work is done', async () => {
    const bench = made()
    const steps = '- command: {run: [make-it], unless: test -e /made}'
    const [verdict] = await bench.reconcile(steps)
    assert.equal(verdict?.status, 'changed')
    assert.equal(verdict?.differences[0]?.found, 'ends with 1')
    assert.equal((await bench.reconcile(steps))[0]?.status, 'held')
  })

  it('as a text is one for sh, which stops at the first error', async () => {
    const bench = made()
    await bench.reconcile('- command: {run: "touch /made", creates: /none}')
    const [call] = bench.calls.filter((one) => one.kind === 'run')
    assert.deepEqual(call?.kind === 'run' && call.command.argv, [
      '/bin/sh',
      '-e',
      '-c',
      'touch /made',
    ])
  })

  it('gets its environment, its user and its directory', async () => {
    const bench = made({
      files: { '/etc/passwd': 'app:x:7:7::/srv/app:/bin/sh\n' },
      values: { secret: 'a b$c' },
    })
    await bench.reconcile(
      '- command: {run: [tool, -x], creates: /none, user: app, directory: /srv/a b, env: {TOKEN: "{{ secret }}"}}',
    )
    const [call] = bench.calls.filter((one) => one.kind === 'run')
    assert.ok(call?.kind === 'run')
    assert.deepEqual(call.command.argv.slice(3), [
      'sh',
      '/srv/a b',
      'runuser',
      '-u',
      'app',
      '--',
      'tool',
      '-x',
    ])
    assert.deepEqual(call.command.env, {
      HOME: '/srv/app',
      USER: 'app',
      LOGNAME: 'app',
      TOKEN: 'a b$c',
    })
  })

  it('that fails says so in its last line', async () => {
    const [verdict] = await made().reconcile('- command: {run: [fails], creates: /none}')
    assert.equal(verdict?.status, 'failed')
    assert.match(verdict?.message ?? '', /ended with 3: no luck/)
  })

  it('is not known on a remote that runs none, unless a path tells', async () => {
    const bench = openBench({ files: { '/there': '' } })
    const [unknown, held] = await bench.test(
      '- command: {run: a, unless: b}\n- command: {run: a, creates: /there}',
    )
    assert.equal(unknown?.status, 'unknown')
    assert.equal(held?.status, 'held')
  })

  it('is refused when nothing would say that it is done', () => {
    for (const [steps, message] of [
      ['- command: {run: reboot}', /'unless' or 'creates'/],
      ['- command: {run: [], creates: /x}', /at least 1/],
      ['- command: {run: a, creates: x}', /absolute path/],
      ['- command: {run: a, creates: /x, env: {"A B": c}}', /environment variable/],
    ] as const)
      assert.throws(
        () => parseSteps(steps),
        (error: Error) => failsWith('RECIPE_INVALID')(error) && message.test(error.message),
      )
  })
})
