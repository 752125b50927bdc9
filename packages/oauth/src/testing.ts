export type { StoreUnderTest } from './storage/store-contract.ts'
export { describeStoreContract } from './storage/store-contract.ts'
