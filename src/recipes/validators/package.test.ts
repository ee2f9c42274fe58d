import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { failsWith } from '../../testing/fails-with.ts'
import { openBench, parseSteps } from '../../testing/recipe-bench.ts'

const stanza = (name: string, version = '1.0-1', status = 'install ok installed') =>
  `Package: ${name}\nStatus: ${status}\nArchitecture: amd64\nVersion: ${version}\n\n`
const STATUS = '/var/lib/dpkg/status'

/** A Debian whose apt really installs: it writes into the status file. */
function debian(status: string) {
  return openBench({
    files: { [STATUS]: status },
    answers: [
      {
        to: /^apt-get .* install /,
        give: ({ argv }, files) => {
          const words = argv.slice(argv.indexOf('--') + 1)
          const added = words.map((word) => stanza(word.split('=')[0] ?? '', word.split('=')[1]))
          const old = Buffer.from(files.read(STATUS) ?? []).toString()
          files.write(STATUS, Buffer.from(old + added.join('')), { mode: 0o644, uid: 0, gid: 0 })
        },
      },
      { to: 'apt-get' },
      { to: 'touch' },
    ],
  })
}

function invalid(steps: string, message: RegExp): void {
  assert.throws(
    () => parseSteps(steps),
    (error: Error) => failsWith('RECIPE_INVALID')(error) && message.test(error.message),
  )
}

describe('package', () => {
  it('is written as a name, a name with a version, or a list of both', () => {
    const titles = parseSteps(`
- package: java
- package: {java: {version: "8"}}
- package: [java, {tree: {version: 2.10}}]
- package: []
- package: {java: {}}`).steps.map(({ title }) => title)
    assert.deepEqual(titles, [
      'package java',
      'package java 8',
      'package java, tree 2.10',
      'package ',
      'package java',
    ])
  })

  it('refuses misspelt keys and names that are options', () => {
    invalid('- package: {java: {versoin: "8"}}', /did you mean 'version'/)
    invalid('- package: -y', /the name of a package/)
    invalid('- package: {-y: {version: "8"}}', /cannot be the name/)
    invalid('- package: [a, "b c"]', /the name of a package/)
  })

  it('checks by reading, and changes nothing in test-only', async () => {
    const bench = openBench({ files: { [STATUS]: stanza('jq', '1.6-2') } })
    const [held, differs] = await bench.test(
      '- package: jq\n- package: [jq, tree, {jq: {version: 1.7}}]',
    )
    assert.equal(held?.status, 'held')
    assert.equal(differs?.status, 'differs')
    assert.deepEqual(differs?.differences, [
      { what: 'package tree', expected: 'installed', found: 'not installed' },
      { what: 'package jq', expected: 'version 1.7', found: 'version 1.6-2' },
    ])
    assert.deepEqual(bench.changes(), [])
    assert.deepEqual(bench.commands(), [])
  })

  it('installs what is missing in one transaction, and nothing the second time', async () => {
    const bench = debian(stanza('jq'))
    const steps = '- package: [jq, tree, {curl: {version: "7.88"}}]'
    assert.equal((await bench.reconcile(steps))[0]?.status, 'changed')
    const installs = () => bench.commands().filter((one) => / install /.test(one))
    assert.equal(installs().length, 1)
    assert.match(installs()[0] ?? '', /-- tree curl=7\.88$/)
    assert.equal((await bench.reconcile(steps))[0]?.status, 'held')
    assert.equal(installs().length, 1)
  })

  it('does not count a package that was removed but not purged', async () => {
    const bench = openBench({
      files: { [STATUS]: stanza('nano', '7.2', 'deinstall ok config-files') },
    })
    assert.equal((await bench.test('- package: nano'))[0]?.status, 'differs')
  })

  it('fails when the install succeeds and the package is still not there', async () => {
    const bench = openBench({ answers: [{ to: 'apt-get' }, { to: 'touch' }] })
    const [verdict] = await bench.reconcile('- package: jq')
    assert.equal(verdict?.status, 'failed')
    assert.match(verdict?.message ?? '', /still not as it should be/)
  })

  it('does not check again after an install that failed', async () => {
    const bench = openBench({
      answers: [
        { to: /install/, give: { code: 100, stderr: 'E: Unable to locate package jq' } },
        { to: 'apt-get' },
        { to: 'touch' },
      ],
    })
    const [verdict] = await bench.reconcile('- package: jq')
    assert.equal(verdict?.status, 'failed')
    assert.match(verdict?.message ?? '', /no package 'jq'/)
    assert.match(verdict?.output ?? '', /Unable to locate/)
  })

  it('asks rpm on a guest of the redhat family, one command for the check', async () => {
    const files = { '/etc/os-release': 'ID=centos\nVERSION_ID=7\n' }
    const bench = openBench({ files, answers: [{ to: 'rpm', give: { stdout: '' } }] })
    assert.equal((await bench.test('- package: [jq, tree]'))[0]?.status, 'differs')
    assert.equal(bench.commands().length, 1)
    const unable = openBench({ files })
    assert.equal((await unable.test('- package: jq'))[0]?.status, 'unknown')
  })

  it('says which families it knows on a guest of another', async () => {
    const bench = openBench({ files: { '/etc/os-release': 'ID=plan9\n' } })
    const [verdict] = await bench.test('- package: jq')
    assert.equal(verdict?.status, 'failed')
    assert.match(verdict?.message ?? '', /knows no package manager for 'plan9'/)
  })
})
