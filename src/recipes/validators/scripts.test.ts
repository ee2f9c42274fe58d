import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { makeContext } from '../../base/context.ts'
import { openLocal } from '../../remotes/local.ts'
import { openRemote } from '../../remotes/open-remote.ts'
import type { Command } from '../../remotes/remote.ts'
import { inspectText, recipeOf, runText } from '../../testing/recipe-text.ts'
import { runRecipe, type RunRecipeOptions } from '../run-recipe.ts'

const KNOWS = '[ "$test_only" = 0 ]\n'
const warningsOf = (content: string, step = 'script: s') =>
  inspectText(`validators: [{${step}}]`, { s: content }).warnings.map((line) =>
    line.replace(/^\d+:\d+: (s: )?/, ''),
  )
/** Runs one script step; the commands it ran. */
async function run(step: string, content: string, options: Parameters<typeof runText>[1] = {}) {
  const ran = await runText(`validators: [{${step}}]`, { resources: { s: content }, ...options })
  const commands = ran.calls.flatMap((call): Command[] =>
    call.kind === 'run' ? [call.command] : [],
  )
  return { ...ran, ran: commands }
}

describe('a script', () => {
  it('is run by the interpreter that its first line names, sh if none', async () => {
    for (const [first, words] of [
      ['#!/bin/bash', ['/bin/bash']],
      ['#! /usr/bin/env python3', ['/usr/bin/env', 'python3']],
      ['#!/bin/bash -eu', ['/bin/bash', '-eu']],
      ['#!/bin/sh\r', ['/bin/sh']],
      ['echo hello', ['/bin/sh']],
      ['', ['/bin/sh']],
    ] as const) {
      const { ran } = await run('script: s', `${first}\n${KNOWS}`)
      assert.deepEqual(ran[0]?.argv.slice(6, -1), words, first)
    }
  })

  it('comes as it stands, in one command, and lies in memory while it runs', async () => {
    const { ran } = await run('script: s', KNOWS)
    assert.equal(ran.length, 1)
    assert.equal(String(ran[0]?.input), KNOWS)
    assert.match(ran[0]?.argv.at(-1) ?? '', /^\/run\/ingot-[^/]+\/s$/)
  })

  it('is told by test_only whether it may change things', async () => {
    for (const [mode, told] of [
      ['test-only', '1'],
      ['reconcile', '0'],
    ] as const) {
      const { ran } = await run('script: s', KNOWS, { mode })
      assert.deepEqual(
        ran.map(({ env }) => env?.['test_only']),
        [told],
      )
    }
  })

  it('is told the truth, even if a step has set an argument called test_only', async () => {
    const text = `
validators:
  - argument_set: {argument_name: test_only, value: "0"}
  - script: {s: {env_vars: [test_only]}}
`
    const { calls } = await runText(text, { resources: { s: KNOWS }, mode: 'test-only' })
    const [command] = calls.flatMap((call) => (call.kind === 'run' ? [call.command] : []))
    assert.equal(command?.env?.['test_only'], '1')
  })

  it('gets the arguments named in env_vars, whole, and no others', async () => {
    const value = 'two words $(reboot)\n"quoted" \'line\''
    const text = `
arguments:
  java-distro: {required: true}
  other: {required: true}
  renamed: {required: true, target_variable: ITS_NAME}
validators:
  - script: {s: {env_vars: [java-distro, renamed]}}
`
    const { calls } = await runText(text, {
      resources: { s: KNOWS },
      values: { 'java-distro': value, other: 'x', renamed: 'y' },
    })
    const [command] = calls.flatMap((call) => (call.kind === 'run' ? [call.command] : []))
    assert.deepEqual(command?.env, {
      test_only: '0',
      distro: 'debian',
      java_distro: value,
      ITS_NAME: 'y',
    })
    assert.ok(!command?.argv.join(' ').includes('reboot'))
  })

  it('may be named in env_vars by its variable, and is then no unknown argument', () => {
    const text = `
arguments: {java: {default: x, target_variable: JAVA}}
validators: [{script: {s: {env_vars: [JAVA]}}}]
`
    assert.deepEqual(inspectText(text, { s: KNOWS }).warnings, [])
  })

  it('sets an argument to what it prints, without the line end', async () => {
    const { report } = await run('script: {s: {output: made}}', KNOWS, {
      otherwise: { stdout: 'two\nlines\n\n' },
    })
    assert.equal(report.args['made'], 'two\nlines')
  })

  it('sets nothing when it fails', async () => {
    const { report } = await run('script: {s: {output: made}}', KNOWS, {
      otherwise: { code: 1, stdout: 'x' },
    })
    assert.equal(report.args['made'], undefined)
  })

  it('fails when it prints what no argument can hold', async () => {
    for (const stdout of ['x'.repeat(65_537), 'a\0b']) {
      const { report } = await run('script: {s: {output: made}}', KNOWS, { otherwise: { stdout } })
      assert.equal(report.verdicts[0]?.status, 'failed')
    }
  })

  it('may stand in the recipe itself', async () => {
    const { ran, report } = await run('script: {count them: {inline: "nproc", output: n}}', '')
    assert.equal(String(ran[0]?.input), 'nproc')
    assert.match(ran[0]?.argv.at(-1) ?? '', /\/count_them$/)
    assert.equal(report.verdicts[0]?.title, 'script count them')
  })

  it('may have a label that is no name of a file', async () => {
    for (const label of ['../..', '..', '/', 'a b', '.hidden', 'ümlaut', '$(reboot)']) {
      const { ran } = await run(`script: {"${label}": {inline: "true"}}`, '')
      const [path = ''] = ran[0]?.argv.slice(-1) ?? []
      assert.match(path, /^\/run\/ingot-[^/]+\/[A-Za-z0-9_-][A-Za-z0-9._-]*$/, label)
    }
  })
})

/** Runs a recipe on this host; its report, and whether the script's directory is still there. */
async function runHere(text: string, script: string, options: Partial<RunRecipeOptions> = {}) {
  const id = `test-${process.pid}`
  const context = makeContext({ newId: () => id })
  await using remote = openRemote(openLocal(context), context)
  const report = await runRecipe(
    recipeOf(text, { s: script }),
    remote,
    { mode: 'reconcile', values: new Map(), cacheDir: '/nonexistent', ...options },
    context,
  )
  return { report, left: await remote.exists(`/run/ingot-${id}`) }
}

describe('a script, really run', { skip: process.geteuid?.() === 0 ? false : 'needs root' }, () => {
  it('gets its environment and nothing on standard input, and leaves nothing', async () => {
    const { report, left } = await runHere(
      `
arguments: {directory: {default: its own}, name: {default: too}}
validators:
  - script: {s: {env_vars: [directory, name], output: said}}
`,
      '#!/bin/sh\necho "$directory,$name,$test_only,$#,$(umask),$(cat | wc -c),$0"\n',
    )
    assert.match(report.args['said'] ?? '', /^its own,too,0,0,0022,0,\/run\/ingot-[^/]+\/s$/)
    assert.equal(left, false)
  })

  it('ends with its own code, and leaves nothing then either', async () => {
    const script = 'echo why >&2; exit $((40+2))\n'
    const { report, left } = await runHere('validators: [{script: s}]', script)
    assert.equal(report.verdicts[0]?.message, 'script s ended with 42: why')
    assert.equal(left, false)
  })

  it('is ended when it takes too long, and leaves nothing then either', async () => {
    const { report, left } = await runHere('validators: [{script: s}]', 'exec sleep 600\n', {
      commandTimeoutMs: 300,
    })
    assert.match(report.verdicts[0]?.message ?? '', /did not end within 0\.3 s/)
    assert.equal(left, false)
  })
})

const elseExit = (code: number) =>
  `if [ $test_only -eq 0 ]; then\n  work\nelse\n  exit ${code}\nfi\n`
const curl = (words: string) => warningsOf(`${KNOWS}curl ${words} https://x/y\n`).join()

describe('a script is warned of', () => {
  it('when it never looks at test_only, unless its output is what it is for', () => {
    assert.match(warningsOf('apt-get update\n').join(), /^it never looks at test_only/)
    assert.deepEqual(warningsOf('nproc\n', 'script: {s: {output: n}}'), [])
    assert.deepEqual(warningsOf(KNOWS), [])
    assert.deepEqual(warningsOf('#!/bin/bash\n. /tmp/functions.sh\nwant_file /x\n'), [])
  })

  it('when it is empty', () => {
    assert.deepEqual(warningsOf(''), ['the script is empty'])
  })

  it('when its check can never fail', () => {
    assert.match(warningsOf(elseExit(0)).join(), /`else exit 0`/)
    assert.deepEqual(warningsOf(elseExit(1)), [])
  })

  it('when it saves the error page of a server', () => {
    for (const words of ['-o f', '-sO', '-sS --output f', '-L \\\n  -o f'])
      assert.match(curl(words), /curl without --fail/, words)
    for (const words of ['-fsS -o f', '--fail -O', '-sf -o f', '-I'])
      assert.equal(curl(words), '', words)
  })

  it('when it needs apt-key', () => {
    assert.match(warningsOf(`${KNOWS}apt-key add k\n`).join(), /apt-key/)
    assert.deepEqual(warningsOf(`${KNOWS}# apt-key is gone\n`), [])
  })

  it('when sh runs it and only bash can', () => {
    const body = `${KNOWS}if [[ $distro = debian ]]; then source /tmp/f; fi\n`
    assert.match(warningsOf(body).join(), /only bash has/)
    assert.match(warningsOf(`#!/bin/sh\n${body}`).join(), /only bash has/)
    assert.deepEqual(warningsOf(`#!/bin/bash\n${body}`), [])
    assert.deepEqual(warningsOf(`#!/usr/bin/env bash\n${body}`), [])
  })

  it('only for what its language means', () => {
    assert.deepEqual(
      warningsOf('#!/usr/bin/python3\nimport os\nif os.environ["test_only"]: x = [[1]]\n'),
      [],
    )
  })
})

describe('copy_script', () => {
  it('lies in /tmp while the recipe runs, and is gone afterwards', async () => {
    let during: string | undefined
    const { files } = await runText('validators: [{copy_script: a/b/lib.sh}, {script: s}]', {
      resources: { 'a/b/lib.sh': 'lib\n', s: KNOWS },
      answers: [
        {
          to: /\/s$/,
          give: (_command, at) => {
            during = Buffer.from(at.read('/tmp/lib.sh') ?? []).toString()
          },
        },
      ],
    })
    assert.equal(during, 'lib\n')
    assert.deepEqual(files.list('/tmp'), [])
  })

  it('gives back what was there before', async () => {
    const { files } = await runText('validators: [{copy_script: lib.sh}]', {
      resources: { 'lib.sh': 'new\n' },
      files: { '/tmp/lib.sh': 'old\n' },
      mode: 'test-only',
    })
    assert.equal(Buffer.from(files.read('/tmp/lib.sh') ?? []).toString(), 'old\n')
    assert.equal(files.stat('/tmp/lib.sh')?.mode, 0o644)
  })

  it('is gone when a later step fails, too', async () => {
    const { files, report } = await runText('validators: [{copy_script: lib.sh}, {script: s}]', {
      resources: { 'lib.sh': 'x', s: KNOWS },
      otherwise: { code: 1 },
    })
    assert.equal(report.ok, false)
    assert.deepEqual(files.list('/tmp'), [])
  })

  it('must have a name that a file can have', () => {
    for (const name of ['..', '/', 'a/..', '.'])
      assert.match(
        inspectText(`validators: [{copy_script: {"${name}": {inline: x}}}]`).errors.join(),
        /cannot be the name of a file in \/tmp/,
        name,
      )
  })

  it('does not follow or replace what is no file', async () => {
    const { report } = await runText('validators: [{copy_script: lib}]', {
      resources: { lib: 'x' },
      files: { '/tmp/lib/inner': 'x' },
    })
    assert.match(report.verdicts[0]?.message ?? '', /\/tmp\/lib is in the way/)
  })
})
