// Specialization constant: the rows that a product computes and their sources in its argument.
#ifndef BX_PARAMS_PRODUCT_ROWS_H
#define BX_PARAMS_PRODUCT_ROWS_H

#define BX_ROWS_OF_TOKENS 0u        // row r reads row r, for each row of the step
#define BX_ROWS_OF_SEGMENTS 1u      // row r reads row r, for each segment of the step
#define BX_ROWS_LAST_OF_SEGMENT 2u  // row g reads the last row of segment g

#endif
