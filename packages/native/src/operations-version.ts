/** Raised when an operation's inputs, outputs or attributes change; tensor-core calls those of the version that it knows. */
export const operationsVersion = 11;
