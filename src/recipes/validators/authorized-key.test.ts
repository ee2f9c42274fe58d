import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { openBench } from '../../testing/recipe-bench.ts'
import { parseKeyLine } from './authorized-key.ts'

const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHd0x5wmcZrXrqzUN3j0aXoNCp6mR1FJQm3r8nFvUZ0V'
const OTHER = 'ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQ== bob'
const PASSWD = { '/etc/passwd': 'ann:x:1000:1001::/home/ann:/bin/sh\n' }
const FILE = '/home/ann/.ssh/authorized_keys'
const step = (more = '') => `- authorized_key: {user: ann, key: "${KEY} ops"${more}}`

describe('authorized_key', () => {
  it('is added for its user alone, and then holds', async () => {
    const bench = openBench({ files: PASSWD })
    assert.equal((await bench.test(step()))[0]?.status, 'differs')
    assert.deepEqual(bench.changes(), [])
    assert.equal((await bench.reconcile(step()))[0]?.status, 'changed')
    assert.equal(bench.text(FILE), `${KEY} ops\n`)
    const file = bench.files.stat(FILE)!
    const directory = bench.files.stat('/home/ann/.ssh')!
    assert.deepEqual([file.mode, file.uid, file.gid], [0o600, 1000, 1001])
    assert.deepEqual([directory.mode, directory.uid, directory.gid], [0o700, 1000, 1001])
    assert.equal((await bench.reconcile(step()))[0]?.status, 'held')
  })

  it('is the same with another comment, and another with other options', async () => {
    const bench = openBench({ files: { ...PASSWD, [FILE]: `${KEY} other comment\n${OTHER}\n` } })
    bench.files.setAttributes(FILE, { uid: 1000 })
    bench.files.setAttributes('/home/ann/.ssh', { uid: 1000 })
    assert.equal((await bench.test(step()))[0]?.status, 'held')
    const restricted = `- authorized_key: {user: ann, key: 'from="10.0.0.0/8,a b" ${KEY}'}`
    assert.equal((await bench.reconcile(restricted))[0]?.status, 'changed')
    assert.equal(bench.text(FILE), `${OTHER}\nfrom="10.0.0.0/8,a b" ${KEY}\n`)
  })

  it('goes from wherever it stands, and others stay', async () => {
    const bench = openBench({ files: { ...PASSWD, [FILE]: `${KEY} a\n${OTHER}\nno-pty ${KEY}\n` } })
    assert.equal((await bench.reconcile(step(', absent: true')))[0]?.status, 'changed')
    assert.equal(bench.text(FILE), `${OTHER}\n`)
    assert.equal((await bench.reconcile(step(', absent: true')))[0]?.status, 'held')
  })

  it('is of no use in a file that others may write, so that is a difference', async () => {
    const bench = openBench({ files: { ...PASSWD, [FILE]: `${KEY}\n` } })
    bench.files.setAttributes(FILE, { uid: 1000, mode: 0o666 })
    const [verdict] = await bench.test(step())
    assert.deepEqual(
      verdict?.differences.map(({ what }) => what),
      ['owner of /home/ann/.ssh', `mode of ${FILE}`],
    )
  })

  it('is never written through a link, which its user may have laid', async () => {
    const bench = openBench({ files: { ...PASSWD, '/home/ann/x': '', '/etc/keys/x': '' } })
    bench.files.link('/home/ann/.ssh', '/etc/keys')
    const [verdict] = await bench.reconcile(step())
    assert.match(verdict?.message ?? '', /is a link/)
    assert.deepEqual(bench.changes(), [])
  })

  it('fails for a user that is not there, and for what is no key', async () => {
    const [verdict] = await openBench({ files: {} }).reconcile(step())
    assert.match(verdict?.message ?? '', /no user 'ann'/)
    const bench = openBench({ files: PASSWD, values: { key: `${KEY}\n${OTHER}` } })
    const [two] = await bench.reconcile('- authorized_key: {user: ann, key: "{{ key }}"}')
    assert.match(two?.message ?? '', /not an SSH public key/)
  })
})

describe('a line of authorized_keys', () => {
  it('is read with its options, quoted or not', () => {
    assert.equal(
      parseKeyLine(`no-pty,command="a \\"b\\" ssh-rsa c" ${KEY} x`)?.options,
      'no-pty,command="a \\"b\\" ssh-rsa c"',
    )
    assert.equal(parseKeyLine(`  ${KEY}`)?.type, 'ssh-ed25519')
    assert.equal(parseKeyLine(`sk-ssh-ed25519@openssh.com AAAA`)?.blob, 'AAAA')
    for (const none of ['', '# ssh-rsa AAAA', 'ssh-rsa', 'hello world', 'no-pty'])
      assert.equal(parseKeyLine(none), undefined, none)
  })

  it('of any text is read without failing', () => {
    fc.assert(fc.property(fc.string(), (text) => void parseKeyLine(text)))
  })
})
