import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { failsWith } from '../../testing/fails-with.ts'
import { type BenchOptions, openBench, parseSteps } from '../../testing/recipe-bench.ts'

const FILES = {
  '/etc/passwd': 'root:x:0:0:root:/root:/bin/bash\nann:x:1000:1000:Ann:/home/ann:/bin/bash\n',
  '/etc/group': 'root:x:0:\nsudo:x:27:ann\nann:x:1000:\nbob:x:1001:\n',
  '/etc/shadow': 'root:*:1::::::\nann:$6$s$hash:1::::::\n',
}
const debian = (script: BenchOptions = {}) =>
  openBench({ files: FILES, otherwise: { code: 0 }, ...script })

async function commandsOf(steps: string): Promise<string[]> {
  const bench = debian()
  await bench.reconcile(steps)
  return bench.commands()
}

describe('user', () => {
  it('is looked at by reading, only for what is said', async () => {
    const bench = openBench({ files: FILES })
    const verdicts = await bench.test(`
- user: ann
- user: {name: ann, uid: 1000, group: ann, groups: [sudo], home: /home/ann, shell: /bin/bash, comment: Ann, locked: false}
- user: {name: ann, uid: 1001, groups: [sudo, docker], shell: /bin/zsh, locked: true}
- user: bob
- user: {name: root, locked: true}
- user: {name: bob, absent: true}
- user: {name: ann, password_hash: "$6$s$other"}`)
    assert.deepEqual(
      verdicts.map(({ status }) => status),
      ['held', 'held', 'differs', 'differs', 'held', 'held', 'differs'],
    )
    assert.deepEqual(
      verdicts[2]?.differences.map(({ what, found }) => `${what}: ${found}`),
      [
        'uid of user ann: 1000',
        'shell of user ann: /bin/bash',
        'groups of user ann: not in docker',
        'password of user ann: not locked',
      ],
    )
    assert.deepEqual(bench.changes(), [])
  })

  it('is made by useradd, in words that no option can hide in', async () => {
    const bench = debian()
    await bench.reconcile(
      '- user: {name: eve, uid: 1500, groups: [sudo, ann], shell: /bin/sh, comment: "Eve; rm -rf /"}',
    )
    const bob = debian()
    await bob.reconcile('- user: {name: bob, system: true, home: /var/lib/bob}')
    const daemon = debian()
    await daemon.reconcile('- user: {name: daemon, system: true, group: root}')
    const argv = (bench: ReturnType<typeof debian>) =>
      bench.calls.flatMap((call) => (call.kind === 'run' ? [call.command.argv] : []))
    assert.deepEqual(argv(bench), [
      [
        'useradd',
        '-m',
        '-u',
        '1500',
        '-U',
        '-G',
        'sudo,ann',
        '-c',
        'Eve; rm -rf /',
        '-s',
        '/bin/sh',
        '--',
        'eve',
      ],
    ])
    assert.deepEqual(argv(bob), [
      ['useradd', '-r', '-m', '-g', 'bob', '-d', '/var/lib/bob', '--', 'bob'],
    ])
    assert.deepEqual(argv(daemon), [['useradd', '-r', '-M', '-g', 'root', '--', 'daemon']])
  })

  it('is changed by usermod, and loses no group it has', async () => {
    const bench = debian()
    await bench.reconcile('- user: {name: ann, shell: /bin/zsh, groups: [root], locked: true}')
    assert.deepEqual(bench.commands(), [
      'usermod -a -G root -s /bin/zsh -- ann',
      'usermod -L -- ann',
    ])
  })

  it('gets its password by standard input, never in a list of processes', async () => {
    const bench = debian()
    await bench.reconcile('- user: {name: ann, password_hash: "$6$salt$secret"}')
    assert.equal(
      bench.commands().some((text) => text.includes('secret')),
      false,
    )
    const [call] = bench.calls.filter((one) => one.kind === 'run')
    assert.equal(call?.kind === 'run' && call.command.input, 'ann:$6$salt$secret\n')
  })

  it('cannot be unlocked without a password', async () => {
    const [verdict] = await debian().reconcile('- user: {name: root, locked: false}')
    assert.match(verdict?.message ?? '', /has no password/)
  })

  it('goes, and its files stay', async () => {
    const bench = debian()
    await bench.reconcile('- user: {name: ann, absent: true}')
    assert.deepEqual(bench.commands(), ['userdel -- ann'])
  })

  it('has a name that is none: nothing is run', async () => {
    const bench = debian({ values: { name: '-x; rm' } })
    const [verdict] = await bench.reconcile('- user: "{{ name }}"')
    assert.match(verdict?.message ?? '', /cannot be the name of a user/)
    assert.deepEqual(bench.commands(), [])
  })

  it('is refused when the recipe already shows that it cannot be', () => {
    for (const [steps, message] of [
      ['- user: "-x; rm"', /cannot be the name of a user/],
      ['- user: {name: a, groups: ["b,c"]}', /cannot be the name of a user/],
      ['- user: {name: a, password_hash: secret}', /given as a hash/],
      ['- user: {name: a, absent: true, uid: 1}', /has no properties/],
      ['- user: {name: a, comment: "a:b"}', /no colon/],
      ['- user: {name: a, shel: /bin/sh}', /did you mean 'shell'/],
      ['- group: "a b"', /cannot be the name of a user or group/],
    ] as const)
      assert.throws(
        () => parseSteps(steps),
        (error: Error) => failsWith('RECIPE_INVALID')(error) && message.test(error.message),
      )
  })
})

describe('group', () => {
  it('is looked at by reading', async () => {
    const bench = openBench({ files: FILES })
    const verdicts = await bench.test(`
- group: sudo
- group: {name: sudo, gid: 28}
- group: app
- group: {name: app, absent: true}`)
    assert.deepEqual(
      verdicts.map(({ status }) => status),
      ['held', 'differs', 'differs', 'held'],
    )
  })

  it('is made, changed or taken away by the guest’s own tools', async () => {
    assert.deepEqual(await commandsOf('- group: {name: app, gid: 990, system: true}'), [
      'groupadd -r -g 990 -- app',
    ])
    assert.deepEqual(await commandsOf('- group: {name: sudo, gid: 28}'), ['groupmod -g 28 -- sudo'])
    assert.deepEqual(await commandsOf('- group: {name: sudo, absent: true}'), ['groupdel -- sudo'])
  })
})
