import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Facts } from '../../remotes/facts.ts'
import { testCloudTargetContract } from '../../testing/cloud-target-contract.ts'
import { hypervTarget } from './hyperv.ts'

const debian: Facts = {
  distro: 'debian',
  family: 'debian',
  version: '12',
  codename: 'bookworm',
  prettyName: 'Debian 12',
  architecture: 'x86_64',
}

describe('the target hyperv', () => {
  it('takes a VHDX, and a VHD for generation 1', () => {
    assert.equal(hypervTarget.format({}), 'vhdx')
    assert.equal(hypervTarget.format({ hyperv_generation: 1 }), 'vhd')
    assert.equal(hypervTarget.format({ hyperv_generation: 1, hyperv_format: 'vhdx' }), 'vhdx')
  })

  it('refuses a VHD for generation 2, which opens none', () => {
    assert.match(hypervTarget.refuses?.({ hyperv_format: 'vhd' }) ?? '', /generation 2 opens VHDX/)
    assert.equal(
      hypervTarget.refuses?.({ hyperv_generation: 1, hyperv_format: 'vhd-fixed' }),
      undefined,
    )
    assert.equal(hypervTarget.refuses?.({}), undefined)
  })

  it('puts the daemons in only where they are asked for', () => {
    assert.doesNotMatch(hypervTarget.fit?.(debian, {}) ?? '', /hyperv-daemons/)
    assert.match(hypervTarget.fit?.(debian, { hyperv_daemons: true }) ?? '', /hyperv-daemons/)
  })

  it('leaves a guest of an unknown kind as it is', () => {
    assert.equal(hypervTarget.fit?.({ ...debian, family: undefined }, {}), undefined)
  })
})

testCloudTargetContract('hyperv', async () => ({
  target: hypervTarget,
  options: { hyperv_daemons: true },
  wrongOptions: [{ hyperv_generation: 3 }, { hyperv_format: 'vhd' }, { more: 1 }],
}))
