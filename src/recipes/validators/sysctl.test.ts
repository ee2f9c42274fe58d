import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { failsWith } from '../../testing/fails-with.ts'
import { openBench, parseSteps } from '../../testing/recipe-bench.ts'

const FILE = '/etc/sysctl.d/99-ingot.conf'

describe('sysctl', () => {
  it('is written for the next boot, each setting on a line of its own, and then holds', async () => {
    const bench = openBench({ files: { '/etc/sysctl.d/10-x.conf': 'kernel.panic=5\n' } })
    const steps = '- sysctl: {vm.swappiness: 10, net.ipv4.tcp_rmem: "4096 87380  6291456"}'
    assert.equal((await bench.test(steps))[0]?.status, 'differs')
    assert.deepEqual(bench.changes(), [])
    assert.equal((await bench.reconcile(steps))[0]?.status, 'changed')
    assert.equal(
      (await bench.reconcile('- sysctl: {vm/swappiness: 20, kernel.panic: 5}'))[0]?.status,
      'changed',
    )
    assert.equal(bench.text(FILE), 'vm/swappiness = 20\nnet.ipv4.tcp_rmem = 4096 87380 6291456\n')
    assert.equal((await bench.reconcile('- sysctl: {vm.swappiness: 20}'))[0]?.status, 'held')
  })

  it('that a later file overrules is reported, not believed', async () => {
    const bench = openBench({ files: { '/etc/sysctl.d/99-sysctl.conf': 'vm.swappiness=60\n' } })
    const [verdict] = await bench.reconcile('- sysctl: {vm.swappiness: 10}')
    assert.equal(verdict?.status, 'failed')
    assert.match(verdict?.differences[0]?.found ?? '', /60 \(\/etc\/sysctl\.d\/99-sysctl\.conf\)/)
  })

  it('is in force at once on a running host', async () => {
    const live = '/proc/sys/vm/swappiness'
    const bench = openBench({
      place: 'host',
      files: { [live]: '60\n' },
      answers: [
        {
          to: ['sysctl', '-q', '-w', 'vm.swappiness=10'],
          give: (_command, files) =>
            files.write(live, Buffer.from('10\n'), { mode: 0o644, uid: 0, gid: 0 }),
        },
      ],
    })
    const [verdict] = await bench.reconcile('- sysctl: {vm.swappiness: 10}')
    assert.equal(verdict?.status, 'changed')
    assert.deepEqual(
      verdict?.differences.map(({ what }) => what),
      ['vm.swappiness at boot', 'vm.swappiness now'],
    )
  })

  it('is refused with a name that is none, or a value of two lines', () => {
    for (const steps of [
      '- sysctl: {"-w": 1}',
      '- sysctl: {"a b": 1}',
      '- sysctl: {a..b: 1}',
      '- sysctl: {a: "1\\n2"}',
      '- sysctl: {}',
    ])
      assert.throws(() => parseSteps(steps), failsWith('RECIPE_INVALID'), steps)
  })
})
