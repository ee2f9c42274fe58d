/** One test for each of Sahara's faults that Ingot does not share; the numbers are those of docs/sahara.md. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { toFacts } from '../src/remotes/facts.ts'
import { inspectText, runText } from '../src/testing/recipe-text.ts'
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

describe('a fault of Sahara that Ingot does not share', () => {
  it('6.4 #6: the package validator works on Debian and on the rebuilds of RHEL', async () => {
    for (const id of ['debian', 'linuxmint'])
      assert.equal((await runText(PACKAGE, debian(id, ['java']))).report.ok, true, id)
    for (const id of ['rocky', 'almalinux', 'ol', 'amzn'])
      assert.equal((await runText(PACKAGE, redhat(id, ['java']))).report.ok, true, id)
  })

  it('6.4 #7: lists of packages are fetched before an install that needs them', async () => {
    const { commands } = await runText(PACKAGE, debian('debian', []))
    const programs = commands()
    const update = programs.findIndex((line) => /^apt-get .*update/.test(line))
    const install = programs.findIndex((line) => /^apt-get .*install /.test(line))
    assert.ok(update >= 0 && update < install, programs.join('\n'))
  })

  it('6.4 #8: any goes on after a branch that fails, whatever it failed of', async () => {
    const result = await run('validators: [{any: [{package: java}, {script: ok}]}]', {
      files: osRelease('plan9'),
    })
    assert.equal(result.report.ok, true)
  })

  it('6.4 #9: a script may stand in the recipe', async () => {
    const { calls } = await run('validators: [{script: {apt_update: {inline: apt-get update}}}]')
    assert.equal(scriptsIn(calls)[0]?.text, 'apt-get update')
  })

  it('6.4 #10: copy_script copies what the file holds, for paths of any length', async () => {
    for (const name of ['lib.sh', 'common/resources/lib.sh', 'a/b/c/lib.sh']) {
      const { calls } = await runText(`validators: [{copy_script: ${name}}]`, {
        resources: { [name]: '#!/bin/sh\n' },
      })
      const [write] = calls.flatMap((call) => (call.kind === 'write' ? [call] : []))
      assert.equal(write?.path, '/tmp/lib.sh')
      assert.equal(Buffer.from(write.content).toString(), '#!/bin/sh\n')
    }
  })

  it('6.4 #11: a bash script is run by bash', async () => {
    const { calls } = await runText('validators: [{script: s}]', {
      resources: { s: '#!/bin/bash\n[[ $test_only = 0 ]]\n' },
    })
    assert.deepEqual(scriptsIn(calls)[0]?.interpreter, ['/bin/bash'])
  })

  it('6.4 #12: values reach a script whole, whatever is in them; names with a dash too', async () => {
    const value = 'a b $(touch /pwned) `id`\nsecond line'
    const { calls } = await runText(
      `
arguments: {java-distro: {required: true}}
validators: [{script: {s: {env_vars: [java-distro]}}}]
`,
      { resources: { s: QUIET }, values: { 'java-distro': value } },
    )
    const [script] = scriptsIn(calls)
    assert.equal(script?.env['java_distro'], value)
    assert.equal(script.text, QUIET)
  })

  it('6.4 #13, #14, #15: what is wrong is said by its name and place, all at once', () => {
    const { errors } = inspectText(`arguments:
  distro: {default: x}
  v:
  w: {defualt: x, required: true}
validators:
  - pakage: a
  - package: {a: {versoin: 1}}
  - script: {s: {arguments: [a]}}
extra: 1
`)
    assert.deepEqual(
      errors.map((line) => line.replace(/^\d+:\d+: /, '').replace(/;.*$/, '')),
      [
        "'distro' is given to every step by Ingot, so no argument may have its name",
        "argument 'v' is not required, so it needs a default",
        "unknown key 'defualt'",
        "unknown validator 'pakage'",
        "unknown key 'versoin'",
        "unknown key 'arguments'",
        "unknown key 'extra'",
      ],
    )
  })

  it('6.4 #15: a number is the text that was written', async () => {
    const { report } = await run(`
arguments: {v: {default: 5.20}}
validators: [{argument_case: {argument_name: v, cases: {5.20: [{script: no}], "5.2": []}}}]
`)
    assert.equal(report.ok, false)
  })

  it('6.4 #15: a value for an argument that nobody declares is refused', async () => {
    await assert.rejects(
      run('arguments: {java: {default: x}}\nvalidators: []', { values: { jav: 'y' } }),
      /has no argument 'jav'; did you mean 'java'/,
    )
  })

  it('6.4 #17: no script stays in the guest, nor anything of its values', async () => {
    const { files } = await run('validators: [{script: ok}, {script: no}]')
    assert.deepEqual(files.list('/tmp'), [])
    assert.deepEqual(files.list('/run') ?? [], [])
  })

  it('6.4 #18: a failure names the step, its place and what the command said', async () => {
    const { report } = await run('validators:\n  - script: ok\n  - script: no\n')
    const [, failed] = report.verdicts
    assert.equal(failed?.title, 'script no')
    assert.deepEqual(failed.place, { file: 'recipe.yaml', line: 3, column: 5 })
    assert.match(failed.message ?? '', /ended with 1: it is not so/)
  })

  it('1.3: an empty any is an error, other empty lists do nothing', async () => {
    assert.match(inspectText('validators: [{any: []}]').errors.join(), /can never hold/)
    const result = await run('validators: [{package: []}, {os_case: []}, {all: []}]')
    assert.equal(result.report.ok, true)
  })

  it('1.5: a version is the one of the package manager, not part of the name', async () => {
    const { report } = await runText('validators: [{package: {java: {version: 1}}}]', {
      ...debian('debian', ['java']),
    })
    assert.equal(report.ok, true)
    const missing = await runText(
      'validators: [{package: {java: {version: "2"}}}]',
      debian('debian', ['java']),
    )
    assert.ok(missing.commands().some((line) => line.endsWith(' java=2')))
  })

  it('1.5: a package that was removed but not purged is not installed', async () => {
    const status = 'Package: java\nStatus: deinstall ok config-files\nVersion: 1\n\n'
    const { report } = await runText(PACKAGE, {
      files: { '/var/lib/dpkg/status': status },
      mode: 'test-only',
    })
    assert.equal(report.verdicts[0]?.status, 'differs')
  })

  it('1.6: one distribution has one name, and recipes may use any of its spellings', async () => {
    for (const id of ['rhel', 'redhat', 'redhatenterpriseserver']) {
      const names = ['rhel', 'redhat', 'redhatenterpriseserver']
      assert.equal(toFacts(`ID=${id}\n`, '').distro, 'rhel')
      for (const name of names) {
        const result = await run(`validators: [{os_case: [{${name}: [{script: ok}]}]}]`, {
          files: osRelease(id),
        })
        assert.deepEqual(ran(result), ['ok 0'], `${id} as ${name}`)
      }
    }
  })

  it('1.9: output has no line end, and may have several lines', async () => {
    const { report } = await run('validators: [{script: {out: {output: made}}}]', {
      answers: [{ to: /\/out$/, give: { stdout: 'one\ntwo\n' } }],
    })
    assert.equal(report.args['made'], 'one\ntwo')
  })

  it('2.2: a validation that may repair passes the arguments on', async () => {
    const { report } = await run(
      'arguments: {java: {required: true}}\nvalidators: [{script: {later: {env_vars: [java]}}}]',
      { values: { java: 'openjdk' } },
    )
    assert.equal(report.ok, true)
    assert.equal(report.args['java'], 'openjdk')
  })
})
