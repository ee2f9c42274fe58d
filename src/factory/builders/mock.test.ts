import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { testOsBuilderContract } from '../../testing/os-builder-contract.ts'
import { templateOf } from '../../testing/template-of.ts'
import { mockBuilder } from './mock.ts'

testOsBuilderContract('mock', async (directory) => ({
  builder: mockBuilder,
  options: { builder: 'mock', mock_size: 4096, mock_hold: 2, mock_secret: 'hush, now' },
  wrongOptions: [{}, { mock_size: 1 }, { mock_size: 4096, mock_hold: 101 }],
  template: templateOf('validators: []', { os: undefined }),
  secrets: ['hush, now'],
  listElsewhere: async () => await readdir(join(directory, 'mock-things')).catch(() => []),
}))
