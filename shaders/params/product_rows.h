// Specialization constant: the rows that a product computes and their sources in its argument.
#ifndef BX_PARAMS_PRODUCT_ROWS_H
#define BX_PARAMS_PRODUCT_ROWS_H

#define BX_ROWS_OF_TOKENS 0u       // row r reads row r, for each row of the step
#define BX_ROWS_OF_OUTPUTS 1u      // row o reads row o, for each output of the step
#define BX_ROWS_SELECT_OUTPUTS 2u  // row o reads the row of output o

#endif
