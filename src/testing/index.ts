/** The door for authors of parts who test them: contract suites, a scripted remote, small images. */
export { CONTRACT_BASE, testRemoteContract } from './remote-contract.ts'
export type { RemoteAbilities, RemoteUnderTest } from './remote-contract.ts'
export { writeContractTree } from './contract-tree.ts'
export { failsWith } from './fails-with.ts'
export { makeScriptedRemote } from './scripted-remote.ts'
export type { Answer, Call, RemoteScript, ScriptedRemote } from './scripted-remote.ts'
export { makeTinyImage } from './tiny-image.ts'
