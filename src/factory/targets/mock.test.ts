import { testCloudTargetContract } from '../../testing/cloud-target-contract.ts'
import { mockTarget } from './mock.ts'

testCloudTargetContract('mock', async () => ({
  target: mockTarget,
  options: { mock_push_hold: true },
  wrongOptions: [{ mock_push_wait: -1 }, { mock_push_hold: 'yes' }],
  provider: { name: 'nowhere', options: {}, credentials: {} },
}))
